"""How a notebook reads, in counts: `python tools/reading.py --out results/reading.json 'fastcore 01_basics@COMMIT=PATH' …`.

The page studies/reading lays chapters of this package beside those of projects that are known for reading well.
Their counts are kept in results/reading.json; ours are counted when the page runs."""
import json, re, statistics
from pathlib import Path
from fastcore.script import call_parse, Param
from check import cells, code_cells, defines, exported, figure, own_lines, sentences, shows, src

HIGHER = ('prose','followed','checks','shown') # of these more is better; of the others less
POINTS = dict( # measure → what it counts
    prose='words of prose for each line of code',
    long='share of sentences with more than 25 words',
    followed='share of definitions that an example or a test follows within two code cells',
    checks='checking cells for each 100 exported lines',
    shown='share of code cells that show something: a value, a table, a figure',
    median='lines of an exported cell, median',
    longest='lines of the longest exported cell',
    wide='share of exported lines over 120 characters',
    kb='size of the notebook, KB')

def checks_something(c): return bool(re.search(r'\b(test_\w+\(|test\(|expect_fail|ExceptionExpected|assert )', src(c)))

def counts(path):
    "Measure → number, of one notebook"
    cs,prose = code_cells(Path(path)),[src(c) for _,c in cells(Path(path)) if c['cell_type']=='markdown']
    exp = [c for c in cs if exported(c)]
    lines = [len(own_lines(c)) for c in exp]
    said = [s for t in prose for s in sentences(t)]
    defs = [i for i,c in enumerate(cs) if exported(c) and defines(c)]
    others = [c for c in cs if not exported(c)]
    return dict(prose=sum(len(t.split()) for t in prose)/sum(len(own_lines(c)) for c in cs),
        long=sum(len(s.split())>25 for s in said)/max(1, len(said)),
        followed=sum(any(map(shows, cs[i+1:i+3])) for i in defs)/len(defs),
        checks=100*sum(map(checks_something, others))/sum(lines),
        shown=sum(bool(c.get('outputs')) for c in cs)/len(cs),
        median=statistics.median(lines), longest=max(lines),
        wide=sum(len(l)>120 for c in exp for l in own_lines(c))/sum(lines), kb=Path(path).stat().st_size/1024)

@call_parse
def main(
    books:Param('NAME@COMMIT=PATH of each notebook', str, nargs='+'),
    out:str='results/reading.json', # to write
):
    "Count notebooks of other projects"
    res = {}
    for b in books:
        name,path = b.split('=', 1)
        name,commit = name.split('@')
        res[name] = dict(commit=commit, **{k:round(v, 4) for k,v in counts(path).items()})
    Path(out).write_text(json.dumps(res, indent=1)+'\n', encoding='utf-8')
