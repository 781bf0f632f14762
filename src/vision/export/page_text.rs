//! The contact sheet's own text.

/// Up to the first image.
pub(super) const HEAD: &str = r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>{title}</title>
<style>
:root { color-scheme: light dark; --ground: #f4f4f6; --card: #fff; --ink: #1c1c22; --dim: #5d5d6b; --line: #d9d9e0; --mark: #0a6cff }
@media (prefers-color-scheme: dark) { :root { --ground: #17171b; --card: #222228; --ink: #ececf1; --dim: #a2a2b0; --line: #3a3a44; --mark: #6aa8ff } }
* { box-sizing: border-box }
body { margin: 0; font: 15px/1.4 system-ui, sans-serif; background: var(--ground); color: var(--ink) }
header { position: sticky; top: 0; z-index: 1; background: var(--ground); border-bottom: 1px solid var(--line); padding: 10px 16px; display: flex; flex-wrap: wrap; gap: 6px 18px; align-items: center }
h1 { font-size: 17px; margin: 0 } header p { margin: 0; color: var(--dim); flex: 1 1 240px }
label { color: var(--dim) } select, input { font: inherit; padding: 3px 6px; border: 1px solid var(--line); border-radius: 6px; background: var(--card); color: var(--ink) }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 14px; padding: 16px }
article { background: var(--card); border: 1px solid var(--line); border-radius: 8px; overflow: hidden; content-visibility: auto; contain-intrinsic-size: auto 290px }
article[hidden] { display: none }
article button { display: block; width: 100%; height: 220px; padding: 0; border: 0; background: #000; cursor: zoom-in }
article button:focus-visible { outline: 3px solid var(--mark); outline-offset: -3px }
article img { width: 100%; height: 100%; object-fit: contain; display: block }
article h2 { font-size: 14px; margin: 8px 10px 0; white-space: nowrap; overflow: hidden; text-overflow: ellipsis }
article p { margin: 0 10px 9px; color: var(--dim); font-size: 13px }
dialog { width: min(1100px, 96vw); max-height: 94vh; padding: 0; border: 1px solid var(--line); border-radius: 10px; background: var(--card); color: var(--ink) }
dialog::backdrop { background: #000a }
dialog > div { display: grid; grid-template-columns: minmax(0, 3fr) minmax(260px, 2fr) }
@media (max-width: 760px) { dialog > div { grid-template-columns: 1fr } }
figure { position: relative; margin: 0; background: #000; align-self: start } figure img { width: 100%; height: auto; display: block }
figure svg { position: absolute; inset: 0; width: 100%; height: 100% }
rect { fill: none; stroke: #fff; stroke-width: 1px; stroke-opacity: .55; vector-effect: non-scaling-stroke; pointer-events: all }
rect.on { stroke: #ff0; stroke-width: 3px; stroke-opacity: 1 }
section { padding: 12px 14px; max-height: 80vh; overflow: auto; outline: 0 }
section h2 { font-size: 16px; margin: 0 0 2px; overflow-wrap: anywhere } section p { margin: 0 0 8px; color: var(--dim) }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 13px }
th, td { text-align: right; padding: 2px 6px } th:nth-child(2), td:nth-child(2) { text-align: left }
th { position: sticky; top: -12px; background: var(--card); color: var(--dim); font-weight: 500 }
tr.on { background: #ffe60040 } nav { display: flex; gap: 8px; padding: 8px 14px; border-top: 1px solid var(--line) }
nav button { font: inherit; padding: 3px 12px; border: 1px solid var(--line); border-radius: 6px; background: var(--ground); color: var(--ink) }
nav span { flex: 1 } a { color: var(--mark) }
</style>
</head>
<body>
<header>
<h1>{title}</h1><p>{about}</p>
<label>sort by <select id="by"><option value="i">order of the run</option><option value="-n">most instances</option><option value="n">fewest instances</option><option value="-s">highest score</option><option value="s">lowest best score</option><option value="t">name</option></select></label>
<label>name has <input id="has" type="search" size="14"></label>
<output id="left"></output>
</header>
<main>
"##;

/// From behind the last image on.
pub(super) const BODY: &str = r##"</main>
<dialog><div><figure></figure><section></section></div><nav><button type="button" value="-1">← before</button><button type="button" value="1">next →</button><span></span><button type="button" value="0">close</button></nav></dialog>
<script>
"use strict";
(() => {
  const main = document.querySelector("main"), box = document.querySelector("dialog");
  const by = document.getElementById("by"), has = document.getElementById("has"), left = document.getElementById("left");
  const all = [...main.children];
  const names = new Intl.Collator(undefined, { numeric: true });
  all.forEach((card, i) => { card.number = i; });
  let shown = all, open = -1;
  const make = (name, text) => { const e = document.createElement(name); if (text !== undefined) e.textContent = text; return e; };

  const arrange = () => {
    const key = by.value.replace("-", ""), turn = by.value[0] === "-" ? -1 : 1;
    const value = { i: c => c.number, n: c => +c.dataset.n, s: c => +c.dataset.s }[key];
    const compare = value ? (a, b) => turn * (value(a) - value(b)) : (a, b) => names.compare(a.dataset.t, b.dataset.t);
    const sorted = [...all].sort((a, b) => compare(a, b) || a.number - b.number);
    const part = has.value.trim().toLowerCase();
    for (const card of all) card.hidden = part !== "" && !card.dataset.t.toLowerCase().includes(part);
    shown = sorted.filter(card => !card.hidden);
    main.append(...sorted);
    left.value = part === "" ? "" : shown.length + " of " + all.length;
  };

  const show = at => {
    const card = shown[at];
    if (!card) return;
    open = at;
    const d = JSON.parse(card.querySelector("script").textContent);
    const picture = card.querySelector("img").cloneNode();
    picture.loading = "eager";
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 " + d.w + " " + d.h);
    const section = make("section"), table = make("table"), rows = make("tbody"), head = make("tr");
    ["#", "class", "score", "pixels", "x", "y", "width", "height"].forEach(name => head.append(make("th", name)));
    table.append(make("thead"), rows);
    table.tHead.append(head);
    d.i.forEach(([k, score, area, x, y, w, h], i) => {
      const row = make("tr"), frame = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      [i + 1, d.k[k], score.toFixed(3), area, x, y, w, h].forEach(v => row.append(make("td", v)));
      Object.entries({ x, y, width: w, height: h }).forEach(([name, v]) => frame.setAttribute(name, v));
      const mark = on => [row, frame].forEach(e => e.classList.toggle("on", on));
      for (const e of [row, frame]) { e.onmouseenter = () => mark(true); e.onmouseleave = () => mark(false); }
      frame.onclick = () => row.scrollIntoView({ block: "center" });
      rows.append(row);
      svg.append(frame);
    });
    section.append(make("h2", card.dataset.t), make("p", d.w + " × " + d.h + " pixels · " + card.querySelector("p").textContent));
    if (d.f) { const link = make("a", "the whole picture"); link.href = d.f; link.target = "_blank"; const p = make("p"); p.append(link); section.append(p); }
    if (d.i.length) section.append(table);
    box.querySelector("figure").replaceChildren(picture, svg);
    box.querySelector("section").replaceWith(section);
    if (!box.open) box.showModal();
  };

  main.addEventListener("click", e => { const card = e.target.closest("button")?.closest("article"); if (card) show(shown.indexOf(card)); });
  box.addEventListener("click", e => {
    if (e.target === box || e.target.value === "0") box.close();
    else if (e.target.value) show(open + +e.target.value);
  });
  box.addEventListener("keydown", e => { const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key]; if (step) show(open + step); });
  by.addEventListener("change", arrange);
  has.addEventListener("input", arrange);
  const asked = /^#(\d+)$/.exec(location.hash);
  if (asked) show(asked[1] - 1);
})();
</script>
</body>
</html>
"##;
