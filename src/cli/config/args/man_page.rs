//! The manual page, generated from the arguments. A test fails if man/tlscope.1 is stale.

use std::fs;
use std::io;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::cli::config::args::Args;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/man/tlscope.1");

/// With this set, the test writes the page instead of comparing it.
const REWRITE: &str = "TLSCOPE_REWRITE_MANUAL";

#[test]
fn the_manual_page_matches_the_arguments() {
    let page = page().unwrap();
    if std::env::var_os(REWRITE).is_some() {
        fs::write(PAGE, &page).unwrap();
    }
    let shipped = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        shipped == page,
        "man/tlscope.1 is stale: run this test with {REWRITE}=1"
    );
}

#[test]
fn a_synopsis_names_the_values_of_options() {
    let mut command = Args::command();
    command.build();
    let config = r"[\fB\-\-config\fR \fIFILE\fR]";
    assert!(synopsis(&command).unwrap().contains(config));
}

/// One page: the program, then a section for each command.
fn page() -> io::Result<String> {
    let mut command = Args::command();
    command.build();
    let manual = Man::new(command.clone());
    let mut page = Vec::new();
    manual.render_title(&mut page)?;
    manual.render_name_section(&mut page)?;
    page.extend(synopsis(&command)?.into_bytes());
    manual.render_description_section(&mut page)?;
    manual.render_options_section(&mut page)?;
    let mut page = without_preamble(page);
    for subcommand in command.get_subcommands() {
        if subcommand.get_name() != "help" {
            page += &section(subcommand)?;
        }
    }
    page += &closing(&command, ".SH");
    Ok(format!("{PREAMBLE}{page}"))
}

/// Defines `\*(Aq`, the apostrophe. Each part that clap_mangen renders begins with it; the page needs it once.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

fn without_preamble(roff: Vec<u8>) -> String {
    String::from_utf8_lossy(&roff).replace(PREAMBLE, "")
}

/// A command's page as a section, without the flags that all commands share.
fn section(command: &Command) -> io::Result<String> {
    let mut own = command.clone().disable_help_flag(true);
    for shared in ["config", "color", "help"] {
        own = own.mut_arg(shared, |argument| argument.hide(true));
    }
    let mut section = synopsis(&own)?.into_bytes();
    let manual = Man::new(own);
    manual.render_description_section(&mut section)?;
    manual.render_options_section(&mut section)?;
    let section = without_preamble(section).replace(".SH ", ".SS ");
    let title = command.get_bin_name().unwrap_or_default().to_uppercase();
    Ok(format!(".SH {title}\n{section}{}", closing(command, ".SS")))
}

/// The synopsis with the names of values, which clap_mangen leaves out.
fn synopsis(command: &Command) -> io::Result<String> {
    let mut text = Vec::new();
    Man::new(command.clone()).render_synopsis_section(&mut text)?;
    let mut text = String::from_utf8_lossy(&text).into_owned();
    let valued = command.get_arguments().filter(|argument| {
        argument.get_action().takes_values() && !argument.is_require_equals_set()
    });
    for argument in valued {
        if let (Some(long), Some([name, ..])) = (argument.get_long(), argument.get_value_names()) {
            let option = format!("\\fB\\-\\-{}\\fR]", long.replace('-', "\\-"));
            let name = name.replace('-', "\\-");
            let with_value = option.replace(']', &format!(" \\fI{name}\\fR]"));
            text = text.replace(&option, &with_value);
        }
    }
    Ok(text)
}

/// The text after the help: its first line is the title, the rest is not reflowed.
fn closing(command: &Command, macro_name: &str) -> String {
    let text = command
        .get_after_long_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let Some((title, rest)) = text.split_once('\n') else {
        return String::new();
    };
    let title = title.trim_end_matches(':').to_uppercase();
    let rest = rest
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\*(Aq");
    format!("{macro_name} {title}\n.nf\n{rest}\n.fi\n")
}
