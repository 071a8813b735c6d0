// The list of handshakes, and tables that can be sorted and folded.
//
// Everything that the traffic chose is put into the page as text (`textContent`), never as markup.
(() => {
  "use strict";

  const PAGE = 100;      // rows that "Show more" adds
  const ON_PAPER = 300;  // rows that are printed at least

  const byId = (id) => document.getElementById(id);

  /** An element with a class and children; strings become text. */
  const make = (tag, className, ...children) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...children.filter((child) => child !== undefined && child !== null));
    return element;
  };

  const grouped = (count) => count.toLocaleString("en-US");

  // Colours: as the system has them, or as the reader says.

  const theme = document.querySelector("button.theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const root = document.documentElement;
    const next = { auto: "light", light: "dark", dark: "auto" }[root.dataset.theme ?? "auto"];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    theme.textContent = `Theme: ${next}`;
  });

  // Sorting.

  const collator = new Intl.Collator("en", { numeric: true });

  /** Compares two values, the missing ones last in both directions. */
  const compare = (a, b, descending) => {
    const missing = (a === undefined) - (b === undefined);
    if (missing !== 0 || a === undefined) return missing;
    const order = typeof a === "number" ? a - b : collator.compare(a, b);
    return descending ? -order : order;
  };

  /** Makes a heading sort: calls `sort(descending)`. Numbers begin with the highest. */
  const sortable = (heading, isNumber, sort) => {
    const button = make("button", "", ...heading.childNodes);
    button.type = "button";
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const current = heading.getAttribute("aria-sort");
      const descending = current ? current === "ascending" : isNumber;
      for (const other of heading.parentNode.children) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sort(descending);
    });
  };

  for (const table of document.querySelectorAll("table.data")) {
    const body = table.tBodies[0];
    const fold = Number(table.dataset.fold ?? Infinity);
    let folded = table.dataset.fold !== undefined;
    const refold = () => [...body.rows].forEach((row, index) => { row.hidden = folded && index >= fold; });

    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const isNumber = heading.dataset.sort === "number";
      if (!heading.dataset.sort) return;
      const value = (row) => {
        const cell = row.cells[column];
        const text = cell.dataset.value ?? cell.textContent;
        return isNumber ? Number(text) : text;
      };
      sortable(heading, isNumber, (descending) => {
        const rows = [...body.rows].map((row) => [value(row), row]);
        rows.sort(([a], [b]) => compare(a, b, descending));
        body.append(...rows.map(([, row]) => row));
        refold();
      });
    });

    if (folded) {
      const button = make("button", "plain");
      button.type = "button";
      const label = () => { button.textContent = folded ? `Show all ${grouped(body.rows.length)}` : "Show fewer"; };
      button.addEventListener("click", () => { folded = !folded; refold(); label(); });
      table.closest(".scroll").after(button);
      refold();
      label();
      addEventListener("beforeprint", () => { for (const row of body.rows) row.hidden = false; });
      addEventListener("afterprint", refold);
    }
  }

  // The list.

  const data = JSON.parse(byId("data").textContent);
  const table = byId("list");
  if (!table) return;

  const details = new Map(data.details.map((detail) => [detail.number, detail]));
  const words = { success: "Succeeded", failure: "Failed", rejected: "Rejected afterwards", unknown: "Unknown" };

  // As much of the date as differs.
  const differs = (end) => new Set(data.handshakes.map((row) => row.time.slice(0, end))).size > 1;
  const dateFrom = differs(4) ? 0 : differs(10) ? 5 : 10;
  const shortTime = (time) => `${time.slice(dateFrom, 10)} ${time.slice(11, 23)}`.trim();


  /** What a search looks at; with the name and the port as other tables have them. */
  const haystack = (row) =>
    [row.number, row.time, row.client, row.server, row.name && row.name + /:\d+$/.exec(row.server), row.version, row.outcome, row.cause, row.side, row.message,
      data.sources.length > 1 ? data.sources[row.source ?? 0] : ""].join("\n").toLowerCase();

  const handshakes = data.handshakes.map((row) => ({ ...row, haystack: haystack(row) }));

  const columns = [
    { name: "No.", value: (row) => row.number, isNumber: true },
    { name: "Time (UTC)", value: (row) => row.time },
    { name: "Client", value: (row) => row.client },
    { name: "Server", value: (row) => row.name ?? row.server },
    { name: "Version", value: (row) => row.version },
    { name: "ms", value: (row) => row.ms, isNumber: true },
    { name: "Outcome", value: (row) => row.outcome },
    { name: "Cause", value: (row) => row.cause ?? (row.message || undefined) },
  ];
  if (data.sources.length > 1) {
    columns.push({ name: "Capture", value: (row) => data.sources[row.source ?? 0] });
  }

  const state = { terms: [], outcome: "", column: columns[0], descending: false, limit: PAGE, open: new Set() };
  let matching = handshakes;

  const select = () => {
    const { terms, outcome, column, descending } = state;
    matching = handshakes.filter((row) =>
      (!outcome || row.outcome === outcome) && terms.every((term) => row.haystack.includes(term)));
    matching.sort((a, b) => compare(column.value(a), column.value(b), descending) || a.number - b.number);
  };

  const facts = (list) => {
    const element = make("dl", "");
    for (const [label, value] of list) element.append(make("dt", "", label), make("dd", "", value));
    return element;
  };

  const part = (title, ...children) => make("div", "", make("h3", "", title), ...children);

  const ladder = (steps) => {
    const list = make("ol", "ladder");
    const head = make("li", "head", make("span", "at", "ms"),
      make("span", "lines", make("span", "", "client"), make("span", "", "server")),
      make("span", "size", "bytes"), make("span", "packet", "packet"));
    head.setAttribute("aria-hidden", "true");
    list.append(head);
    for (const step of steps) {
      const item = make("li", `${step.sender} ${step.kind}${step.encrypted ? " encrypted" : ""}`,
        make("span", "at", step.at ?? ""), make("span", "lines", make("span", "what", step.what)),
        make("span", "size", step.bytes === undefined ? "" : grouped(step.bytes)), make("span", "packet", step.packet ?? ""));
      if (step.at) item.setAttribute("aria-label",
        `${step.at} ms, ${step.sender}: ${step.what}${step.encrypted ? ", encrypted" : ""}`
          + (step.bytes === undefined ? "" : `, ${grouped(step.bytes)} bytes`));
      list.append(item);
    }
    return list;
  };

  const certificate = (shown) => {
    const summary = make("summary", "", shown.name, make("span", "role", ` · ${shown.role}`));
    for (const finding of shown.findings ?? []) summary.append(make("span", "finding", ` · ${finding}`));
    return make("details", "", summary, facts(shown.facts));
  };

  const offer = (lists) => make("details", "", make("summary", "", "What the client offered"),
    facts(lists));

  const contents = (row) => {
    const detail = details.get(row.number);
    const why = row.message
      ? make("p", "why", row.message) : make("p", "why", words[row.outcome]);
    if (!detail) {
      const reason = row.outcome === "success"
        ? "The report has details of handshakes that did not plainly succeed."
        : "The report has no details of this one: there were too many like it.";
      const show = data.has_numbers_of_show ? ` Run: tlscope show CAPTURE ${row.number}` : "";
      return [why, make("p", "note", reason + show)];
    }
    const isHint = ([label]) => label === "Hint";
    const hint = detail.verdict.find(isHint);
    const nodes = [why];
    if (hint) nodes.push(make("p", "hint", hint[1]));
    if (detail.ladder) nodes.push(part("Messages", ladder(detail.ladder)));
    const notSeen = detail.not_seen?.map((line) => make("li", "", line));
    nodes.push(make("div", "grid",
      make("div", "",
        part("Verdict", facts(detail.verdict.filter((fact) => !isHint(fact)))),
        notSeen && part("Not seen", make("ul", "remarks", ...notSeen)),
        part("Connection", facts(detail.connection))),
      make("div", "", part("Negotiated", facts(detail.negotiated)))));
    if (detail.certificates) {
      nodes.push(part("Certificates", ...detail.certificates.map((index) => certificate(data.certificates[index]))));
    }
    if (detail.offer !== undefined) nodes.push(part("ClientHello", offer(data.offers[detail.offer])));
    nodes.push(part("Wireshark display filter", ...detail.filters.map((filter) => make("code", "filter-text", filter))));
    return nodes;
  };

  const body = table.tBodies[0];

  const openRow = (row, element, toggle) => {
    const id = `detail-${row.number}`;
    const cell = make("td", "", ...contents(row));
    cell.colSpan = columns.length;
    const detail = make("tr", "detail", cell);
    detail.id = id;
    element.after(detail);
    element.classList.add("open");
    toggle.setAttribute("aria-expanded", "true");
    toggle.setAttribute("aria-controls", id);
  };

  const rowOf = (row) => {
    const toggle = make("button", "toggle", String(row.number));
    toggle.type = "button";
    toggle.setAttribute("aria-expanded", "false");
    toggle.setAttribute("aria-label", `Handshake ${row.number}: details`);
    const cause = row.cause ? `${row.cause}${row.side ? ` (${row.side})` : ""}` : "";
    const server = row.name ? [make("span", "name", row.name), row.server] : [row.server];
    const cells = [
      make("th", "", toggle),
      make("td", "time", shortTime(row.time)),
      make("td", "address", row.client),
      make("td", "address", ...server),
      make("td", "version", row.version ?? "–"),
      make("td", "number", row.ms === undefined ? "–" : row.ms.toFixed(2)),
      make("td", "", make("span", `outcome ${row.outcome}`, words[row.outcome])),
      make("td", "cause", cause ? make("code", "", cause) : "", row.message ? make("span", "explanation", row.message) : ""),
    ];
    if (data.sources.length > 1) cells.push(make("td", "address", data.sources[row.source ?? 0] ?? "others"));
    cells[0].scope = "row";
    const element = make("tr", "row", ...cells);
    element.id = `h${row.number}`;
    element.addEventListener("click", (event) => {
      if (event.target.closest("a") || String(getSelection()) !== "") return;
      if (state.open.delete(row.number)) {
        element.nextElementSibling.remove();
        element.classList.remove("open");
        toggle.setAttribute("aria-expanded", "false");
      } else {
        state.open.add(row.number);
        openRow(row, element, toggle);
      }
    });
    return [element, toggle];
  };

  const render = () => {
    const shown = matching.slice(0, state.limit);
    const fragment = document.createDocumentFragment();
    for (const row of shown) {
      const [element, toggle] = rowOf(row);
      fragment.append(element);
      if (state.open.has(row.number)) openRow(row, element, toggle);
    }
    body.replaceChildren(fragment);
    byId("status").textContent = matching.length === 0
      ? "No handshake matches."
      : `Showing ${grouped(shown.length)} of ${grouped(matching.length)}`
        + (matching.length < handshakes.length ? ` that match, of ${grouped(handshakes.length)} listed` : "");
    byId("more").hidden = shown.length === matching.length;
  };

  const refresh = () => { select(); render(); };

  const headings = make("tr", "");
  for (const column of columns) {
    const heading = make("th", column.isNumber && column.name !== "No." ? "number" : "", column.name);
    heading.scope = "col";
    headings.append(heading);
    sortable(heading, column.isNumber && column.name !== "No.", (descending) => {
      Object.assign(state, { column, descending });
      refresh();
    });
  }
  headings.cells[0].setAttribute("aria-sort", "ascending");
  table.tHead.append(headings);

  const search = byId("search");
  const form = search.form;
  const choose = (outcome) => {
    const radio = [...form.elements.outcome].find((element) => element.value === outcome);
    radio.checked = true;
    state.outcome = outcome;
  };
  const find = (text) => {
    state.terms = text.toLowerCase().split(/\s+/).filter(Boolean);
    state.limit = PAGE;
    refresh();
  };
  search.addEventListener("input", () => find(search.value));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", (event) => {
    if (event.target.name !== "outcome") return;
    state.outcome = event.target.value;
    state.limit = PAGE;
    refresh();
  });

  for (const element of form.querySelectorAll("[data-count]")) {
    const outcome = element.dataset.count;
    const count = outcome ? handshakes.filter((row) => row.outcome === outcome).length : handshakes.length;
    element.textContent = grouped(count);
    if (count === 0) element.closest("label").hidden = true;
  }

  // A name or a cause elsewhere on the page shows its handshakes.
  for (const link of document.querySelectorAll("a.filter")) {
    link.addEventListener("click", () => searchFor(link.dataset.filter));
  }

  byId("more").addEventListener("click", () => { state.limit += PAGE; render(); });
  byId("open").addEventListener("click", () => {
    for (const row of matching.slice(0, state.limit)) state.open.add(row.number);
    render();
  });

  addEventListener("beforeprint", () => {
    state.limit = Math.max(state.limit, ON_PAPER);
    render();
    for (const part of body.querySelectorAll("details")) part.open = true;
  });

  const openAddressed = (number) => {
    const index = matching.findIndex((row) => row.number === number);
    if (index < 0) return;
    state.open.add(number);
    state.limit = Math.max(state.limit, index + 1);
    render();
    byId(`h${number}`).scrollIntoView();
  };

  const searchFor = (text) => {
    choose("");
    search.value = text;
    find(text);
  };

  /** A query as typed; one that is no valid encoding stands for itself. */
  const decoded = (query) => {
    try {
      return decodeURIComponent(query);
    } catch {
      return query;
    }
  };

  /** Follows `report.html#h12`, which opens handshake 12, and `report.html#q=unknown_ca`, which searches. */
  const follow = () => {
    const [, number] = /^#h(\d+)$/.exec(location.hash) ?? [];
    const [, query] = /^#q=(.*)$/.exec(location.hash) ?? [];
    if (number !== undefined) {
      searchFor("");
      openAddressed(Number(number));
    } else if (query !== undefined) {
      searchFor(decoded(query));
      byId("handshakes").scrollIntoView();
    } else {
      return false;
    }
    return true;
  };

  form.hidden = false;
  table.hidden = false;
  document.querySelector(".more").hidden = false;
  addEventListener("hashchange", follow);
  if (!follow()) {
    // Failures first, if there are any: they are what a report is opened for.
    choose(handshakes.some((row) => row.outcome === "failure") ? "failure" : "");
    refresh();
  }
})();
