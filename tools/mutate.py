"""Do the tests of a notebook notice a change of its code? `python tools/mutate.py nbs/io/files.ipynb --n 40`.

Each mutant changes one place of one exported cell: a comparison, an operator, a constant, a call, a statement.
The notebook runs with it, in a forked process. A test that fails has noticed; a mutant that nothing notices is listed."""
import ast, copy, csv, os, random, signal, sys, tempfile, time
from pathlib import Path
from execnb.nbio import read_nb
from execnb.shell import CaptureShell
from fastcore.script import call_parse, Param
from nbdev.config import get_config
from refresh import flagged

SWAP = {ast.Lt:ast.LtE, ast.LtE:ast.Lt, ast.Gt:ast.GtE, ast.GtE:ast.Gt, ast.Eq:ast.NotEq, ast.NotEq:ast.Eq, ast.In:ast.NotIn, ast.NotIn:ast.In, ast.Is:ast.IsNot, ast.IsNot:ast.Is,
    ast.Add:ast.Sub, ast.Sub:ast.Add, ast.Mult:ast.Div, ast.Div:ast.Mult, ast.FloorDiv:ast.Div, ast.Mod:ast.Mult, ast.Pow:ast.Mult, ast.And:ast.Or, ast.Or:ast.And, ast.BitAnd:ast.BitOr, ast.BitOr:ast.BitAnd}
NAMES = dict(min='max', max='min', argmin='argmax', argmax='argmin', mean='sum', sum='mean', any='all', all='any', amin='amax', amax='amin', sorted='list', abs='float', log='exp', exp='log')

def places(tree):
    "(node, what to do with it) of every mutation of a cell"
    for n in ast.walk(tree):
        if isinstance(n, ast.Compare):
            for i,o in enumerate(n.ops):
                if type(o) in SWAP: yield n,f'ops{i}'
        elif isinstance(n, (ast.BinOp, ast.BoolOp)) and type(n.op) in SWAP: yield n,'op'
        elif isinstance(n, ast.UnaryOp) and isinstance(n.op, (ast.Not, ast.USub)): yield n,'bare'
        elif isinstance(n, ast.Constant) and isinstance(n.value, (bool,int,float)): yield n,'value'
        elif isinstance(n, (ast.If, ast.IfExp, ast.While)): yield n,'test'
        elif isinstance(n, ast.Name) and n.id in NAMES: yield n,'name'
        elif isinstance(n, ast.Attribute) and n.attr in NAMES: yield n,'attr'
        elif isinstance(n, ast.comprehension) and n.ifs: yield n,'ifs'
        elif isinstance(n, ast.Call) and n.keywords: yield n,'keyword'
        elif isinstance(n, ast.FunctionDef):
            for i,s in enumerate(n.body):
                if isinstance(s, (ast.Assign, ast.AugAssign)) or isinstance(s, ast.Expr) and isinstance(s.value, ast.Call): yield n,f'drop{i}'

def change(n, how):
    "Mutate a node in place"
    if how.startswith('ops'): i = int(how[3:]); n.ops[i] = SWAP[type(n.ops[i])]()
    elif how=='op': n.op = SWAP[type(n.op)]()
    elif how=='bare': n.op = ast.UAdd() if isinstance(n.op, ast.USub) else ast.Not(); n.operand = n.operand if isinstance(n.op, ast.UAdd) else ast.UnaryOp(ast.Not(), n.operand)
    elif how=='value': n.value = not n.value if isinstance(n.value, bool) else n.value+1
    elif how=='test': n.test = ast.UnaryOp(ast.Not(), n.test)
    elif how=='name': n.id = NAMES[n.id]
    elif how=='attr': n.attr = NAMES[n.attr]
    elif how=='ifs': n.ifs = [ast.UnaryOp(ast.Not(), n.ifs[0]), *n.ifs[1:]]
    elif how=='keyword': n.keywords = n.keywords[1:]
    elif how.startswith('drop'): n.body[int(how[4:])] = ast.Pass()

def line_of(src, tree, k):
    "Line and kind of mutation k"
    n,how = list(places(tree))[k]
    at = getattr(n.body[int(how[4:])] if how.startswith('drop') else n, 'lineno', 0)
    return how,src.split('\n')[at-1].strip()[:110] if at else ''

def mutate(src, k):
    "The source of a cell with mutation k"
    tree = ast.parse(src)
    change(*list(places(tree))[k])
    return '\n'.join(l for l in src.split('\n') if l.startswith('#|'))+'\n'+ast.unparse(ast.fix_missing_locations(tree))

def run(path, nb, cell, src, flags, seconds):
    "Did the notebook notice? Runs in a forked process"
    pid = os.fork()
    if pid:
        t0 = time.time()
        while True:
            p,st = os.waitpid(pid, os.WNOHANG)
            if p: return os.waitstatus_to_exitcode(st)!=0
            if time.time()-t0>seconds: os.killpg(pid, signal.SIGKILL); os.waitpid(pid, 0); return True
            time.sleep(.02)
    try:
        os.setsid(); os.chdir(Path(path).parent)
        for fd in (1,2): os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
        if cell is not None: nb.cells[cell].source = src
        sh = CaptureShell(path=None)
        sh.run_all(nb, exc_stop=True, preproc=lambda c: c.cell_type!='code' or flagged(c, flags))
        os._exit(bool(sh.exc))
    except BaseException: os._exit(1)

@call_parse
def main(
    paths:Param('Notebooks', str, nargs='+'),
    n:int=40, # mutants of each
    seed:int=0,
    out:str='', # CSV to add to, e.g. results/faults/mutation.csv
    aimed:str='', # only lines that match this regular expression
):
    "Mutate exported cells and count what the tests of the same notebook notice"
    import re
    import torch, transformers, peft, pandas # loaded once, for all forks
    torch.set_num_threads(1)
    flags,rows = set(get_config().tst_flags.split()),[]
    for p in paths:
        nb = read_nb(p)
        cells = [i for i,c in enumerate(nb.cells) if c.cell_type=='code' and re.match(r'#\| export', c.source) and not re.search(r'^(import|from) ', c.source, re.M)]
        muts = [(i,k) for i in cells for k in range(len(list(places(ast.parse(nb.cells[i].source)))))]
        muts = [m for m in muts if not aimed or re.search(aimed, line_of(nb.cells[m[0]].source, ast.parse(nb.cells[m[0]].source), m[1])[1])]
        t0 = time.time()
        if run(p, nb, None, '', flags, 600): raise SystemExit(f'{p}: its tests fail as it is')
        base,seen = time.time()-t0,0
        for i,k in random.Random(seed).sample(muts, min(n, len(muts))):
            src = nb.cells[i].source
            how,line = line_of(src, ast.parse(src), k)
            ok = run(p, copy.deepcopy(nb), i, mutate(src, k), flags, 3*base+20)
            seen += ok
            rows.append((p, how, line, 'noticed' if ok else 'survived'))
            if not ok: print(f'survived {p} {how}: {line}', flush=True)
        print(f'{p}: {seen} of {min(n, len(muts))} noticed ({len(muts)} places, {base:.1f} s a run)', flush=True)
    if out:
        old = [r for r in csv.reader(open(out, encoding='utf-8')) if r[0] not in paths][1:] if Path(out).exists() else []
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        with open(out, 'w', newline='', encoding='utf-8') as f: csv.writer(f, lineterminator='\n').writerows([('notebook','mutation','line','outcome'), *old, *rows])
