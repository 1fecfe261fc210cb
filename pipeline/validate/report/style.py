"""How the report looks: one column that fits a phone, colours that follow light and dark. No scripts."""

from __future__ import annotations

CSS = """
:root { color-scheme: light dark; --ink: #1b1d21; --quiet: #5b616b; --ground: #ffffff; --card: #f4f5f7;
  --line: #dcdfe4; --bar: #4469b8; --mark: #b3402a; --good: #1c7a42; --bad: #b3261e; --unsure: #8a5a00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --quiet: #a2a9b4; --ground: #14161a; --card: #1e2127; --line: #333842;
    --bar: #86a7ec; --mark: #f08c78; --good: #6fce94; --bad: #ff8f86; --unsure: #e8b45a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0 0; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
p { margin: .4rem 0; } small, .quiet { color: var(--quiet); }
.verdict { border-left: .4rem solid var(--good); background: var(--card); padding: .8rem 1rem;
  border-radius: .4rem; }
.verdict.fail { border-color: var(--bad); }
.passed { color: var(--good); } .failed { color: var(--bad); } .unsure { color: var(--unsure); }
.skipped { color: var(--quiet); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { overflow-wrap: break-word; text-align: left; padding: .35rem .7rem .35rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; white-space: nowrap; overflow-wrap: normal; }
th { color: var(--quiet); font-weight: 500; }
figure { margin: 1rem 0; } figcaption { margin-bottom: .3rem; }
.histogram { width: 100%; height: auto; background: var(--card); border-radius: .4rem; padding: .4rem; }
.histogram rect { fill: var(--bar); } .histogram line { stroke: var(--mark); stroke-width: 2; }
.histogram text { fill: var(--quiet); font-size: 15px; }
.digits { display: grid; grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)); gap: .6rem; }
.digit { display: grid; grid-template-columns: repeat(4, 1fr); align-items: end; gap: 2px; height: 3rem; }
.digit i { background: var(--bar); border-radius: 2px 2px 0 0; min-height: 1px; }
.clip { background: var(--card); border-radius: .4rem; padding: .8rem 1rem; margin: .8rem 0; }
.sounds { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .8rem;
  margin-top: .5rem; }
.sounds audio { width: 100%; display: block; margin-top: .3rem; }
.sounds img { width: 100%; height: 5.5rem; display: block; border-radius: .3rem; }
.tag { display: inline-block; border: 1px solid var(--line); border-radius: 1rem; padding: 0 .6rem;
  margin: .1rem .2rem .1rem 0;
  font-size: .85rem; }
code { font-size: .9em; }
@media (max-width: 40rem) { table { font-size: .88rem; } th, td { padding-right: .5rem; } }
"""
