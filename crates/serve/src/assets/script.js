// Pages work without this. It filters lists as one types, and follows a run that goes on.
"use strict";

// A list of packages that the server filters, or, in files without a server, the rows that are there.
const form = document.querySelector("form.filter");
const list = form && document.getElementById(form.dataset.rows);
if (list) {
  let latest = 0;
  const ask = async (address) => {
    const mine = ++latest;
    const answer = await fetch(address);
    if (!answer.ok || mine !== latest) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.getElementById(list.id);
    if (!found || mine !== latest) return;
    list.replaceChildren(...found.childNodes);
    history.replaceState(null, "", address);
  };
  const fields = () => {
    const query = new URLSearchParams(new FormData(form));
    // The first order is the list's own.
    const own = form.elements.sort && form.elements.sort.options[0].value;
    for (const [key, value] of [...query]) if (!value || (key === "sort" && value === own)) query.delete(key);
    return query;
  };
  // What a row itself does not say, one of its cells says all of.
  const choose = (query) => {
    const text = (query.get("q") || "").toLowerCase();
    const asked = [...query.keys()].filter((key) => key !== "q");
    for (const row of list.querySelectorAll("tbody tr")) {
      const has = (key) => (it) => (it.dataset[key] || "").split(" ").includes(query.get(key));
      const ofRow = asked.filter((key) => key in row.dataset);
      const ofCell = asked.filter((key) => !(key in row.dataset));
      const says = [...row.querySelectorAll("th, .error")].some((it) => it.textContent.toLowerCase().includes(text));
      row.hidden = !(says && ofRow.every((key) => has(key)(row))
        && (!ofCell.length || [...row.cells].some((cell) => ofCell.every((key) => has(key)(cell)))));
    }
    for (const part of list.querySelectorAll("section")) part.hidden = !part.querySelector("tbody tr:not([hidden])");
  };
  const update = () => {
    const query = fields();
    if (list.dataset.live === undefined) return choose(query);
    const text = query.toString();
    ask(form.getAttribute("action") + (text ? "?" + text : ""));
  };
  let wait;
  form.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(update, 120); });
  form.addEventListener("submit", (event) => { event.preventDefault(); update(); });
  if (list.dataset.live === undefined) {
    const query = new URLSearchParams(location.search);
    for (const [key, value] of query) {
      const field = form.elements[key];
      if (!field) continue;
      field.value = value;
      // What no row has is asked for all the same.
      if (field.options && field.value !== value) field.add(new Option(`${value} (0)`, value, true, true));
    }
    choose(fields());
  }
}

// A run that goes on: the server sends how far it has come, and at last that it has ended.
const live = document.getElementById("live");
if (live && live.dataset.events) {
  const events = new EventSource(live.dataset.events);
  events.addEventListener("progress", (event) => {
    const page = new DOMParser().parseFromString(event.data, "text/html");
    live.replaceChildren(...page.body.childNodes);
  });
  events.addEventListener("ended", () => { events.close(); location.reload(); });
}
