// Pages work without this. It filters lists as one types, and follows a run that goes on.
"use strict";

// A list of packages that the server filters, or, in files without a server, the rows that are there.
const list = document.getElementById("packages");
const form = document.querySelector("form.filter");
if (list && form) {
  let latest = 0;
  const ask = async (address) => {
    const mine = ++latest;
    const answer = await fetch(address);
    if (!answer.ok || mine !== latest) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.getElementById("packages");
    if (!found || mine !== latest) return;
    list.replaceChildren(...found.childNodes);
    history.replaceState(null, "", address);
  };
  const fields = () => {
    const query = new URLSearchParams(new FormData(form));
    for (const [key, value] of [...query]) if (!value || (key === "sort" && value === "name")) query.delete(key);
    return query;
  };
  const choose = (query) => {
    const text = (query.get("q") || "").toLowerCase();
    for (const row of list.querySelectorAll("tbody tr")) {
      const has = (key) => !query.get(key) || row.dataset[key].split(" ").includes(query.get(key));
      row.hidden = !(row.textContent.toLowerCase().includes(text) && ["status", "category", "compiler"].every(has));
    }
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
    for (const [key, value] of query) if (form.elements[key]) form.elements[key].value = value;
    choose(fields());
  }
}

// Rows of a table by a word.
for (const input of document.querySelectorAll("input[data-rows]")) {
  const table = document.getElementById(input.dataset.rows);
  input.addEventListener("input", () => {
    const text = input.value.toLowerCase();
    for (const row of table.querySelectorAll("tbody tr")) row.hidden = !row.textContent.toLowerCase().includes(text);
  });
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
