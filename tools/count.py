"How many notebooks `nbdev_test` passed and failed, from what it printed and how it ended: `python tools/count.py LOG STATUS`."
import re
from pathlib import Path
from fastcore.script import call_parse, Param
from nbdev.doclinks import nbglob

def count(log, status, n):
    "(passed, failed) of `n` notebooks; a run that died without naming a notebook passed none"
    m = re.search(r'^nbdev Tests Failed On The Following Notebooks:\n=+\n((?:\t.*\n?)+)', log, re.M)
    bad = len(m.group(1).split()) if m else 0
    if status and not bad: return 0, max(n, 1)
    if not n: return 0, 1
    return n-bad, bad

@call_parse
def main(log:Param('File with the output of nbdev_test', str), status:Param('Its exit status', int)):
    "Print the numbers of notebooks that passed and failed"
    print(*count(Path(log).read_text(encoding='utf-8'), status, len(nbglob())))
