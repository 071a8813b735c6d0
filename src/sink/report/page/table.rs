//! Tables that the script can sort and fold.

use maud::{Markup, html};

/// A column: its heading, and how its cells are aligned and sorted.
#[derive(Debug)]
pub(super) enum Column {
    Text(&'static str),
    Number(&'static str),
    /// A bar, not sorted.
    Bar,
    /// A plot, as wide as there is room, with the labels of its axis; not sorted.
    Plot(Markup),
}

/// A cell: what it shows, and what it is sorted by if that is something else.
#[derive(Debug)]
pub(super) struct Cell {
    shown: Markup,
    value: Option<String>,
}

impl Cell {
    pub(super) fn text(text: impl AsRef<str>) -> Self {
        Self {
            shown: html! { (text.as_ref()) },
            value: None,
        }
    }

    pub(super) fn markup(shown: Markup) -> Self {
        Self { shown, value: None }
    }

    pub(super) fn sorted(shown: Markup, value: impl ToString) -> Self {
        Self {
            shown,
            value: Some(value.to_string()),
        }
    }

    pub(super) fn with_below(mut self, markup: Markup) -> Self {
        self.shown = html! { (self.shown) (markup) };
        self
    }

    /// A count; zero is shown as a dash, so that what is there stands out.
    pub(super) fn count(count: u64) -> Self {
        let shown = if count == 0 {
            html! { span.none { "–" } }
        } else {
            html! { (super::super::text::grouped(count)) }
        };
        Self::sorted(shown, count)
    }
}

/// Rows that are shown before the reader asks for more.
const FOLDED: usize = 12;

/// Columns of a table that is not wide.
const WIDE: usize = 6;

/// A table. `others` is the last line, and not sorted.
pub(super) fn table(
    caption: &str,
    columns: &[Column],
    rows: Vec<Vec<Cell>>,
    others: Option<&str>,
) -> Markup {
    let folds = (rows.len() > FOLDED + 3).then_some(FOLDED);
    html! {
        div.scroll {
            // A table of many columns has less room for its bars.
            table.data.wide[columns.len() > WIDE] data-fold=[folds] {
                caption { (caption) }
                thead {
                    tr {
                        @for column in columns {
                            @match column {
                                Column::Text(name) => th scope="col" data-sort="text" { (name) },
                                Column::Number(name) => th.number scope="col" data-sort="number" { (name) },
                                Column::Bar => td.bar {},
                                Column::Plot(labels) => td.plot { (labels) },
                            }
                        }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            @for (index, (column, cell)) in columns.iter().zip(row).enumerate() {
                                @let class = match column {
                                    Column::Text(_) => None,
                                    Column::Number(_) => Some("number"),
                                    Column::Bar => Some("bar"),
                                    Column::Plot(_) => Some("plot"),
                                };
                                @if index == 0 {
                                    th scope="row" data-value=[cell.value] { (cell.shown) }
                                } @else {
                                    td class=[class] data-value=[cell.value] { (cell.shown) }
                                }
                            }
                        }
                    }
                }
                @if let Some(others) = others {
                    tfoot { tr { td colspan=(columns.len()) { (others) } } }
                }
            }
        }
    }
}
