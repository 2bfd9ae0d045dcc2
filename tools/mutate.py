"""Do the tests of a notebook notice a change of its code? `python tools/mutate.py nbs/io/files.ipynb --n 40`.

Each mutant changes one place of one exported cell: a comparison, an operator, a constant, a call, a statement.
`--listed` takes the mutations of `aimed.py` instead, which aim at what makes a result true.
The cells before it run once, the others with it in a forked process. A test that fails has noticed; a mutant that nothing notices is listed.
A run three times as long as that of the notebook as it is ends as `timeout`: a loop that never stops, which no test has named.
A mutant that changes nothing a program could see is marked `equivalent` in the CSV by hand, with the reason in the column `why`."""
import ast, csv, os, random, re, shutil, signal, subprocess, sys, tempfile, time
from collections import Counter
from pathlib import Path
from execnb.nbio import read_nb
from execnb.shell import CaptureShell
from fastcore.script import call_parse, Param, store_true
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

LEAVES = re.compile(r'^(?!\s*with\b).*(TemporaryDirectory|mkdtemp)', re.M) # a cell whose files later cells find
def quiet_fork():
    "The number of a new process of its own group; 0 in that process, whose temporary files lie in a folder of its own"
    if pid := os.fork(): return pid
    os.setsid()
    os.environ['TMPDIR'] = tempfile.tempdir = tempfile.mkdtemp(dir=os.environ['MUTANTS'])
    for fd in (1,2): os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
    return 0

def end_of(sh, cells, cell, src, seconds, most=0):
    "'noticed', 'survived' or 'timeout': what the cells from here on make of a mutant, in a forked process"
    if not (pid := quiet_fork()):
        try:
            for i,c in cells:
                c.source = src if i==cell else c.source
                sh.cell(c)
                if sh.exc: os._exit(1)
            os._exit(0)
        except BaseException: os._exit(1)
    t0 = time.time()
    while True:
        p,st = os.waitpid(pid, os.WNOHANG)
        if p: return 'noticed' if os.waitstatus_to_exitcode(st) else 'survived'
        if time.time()-t0>(most or seconds): os.killpg(pid, signal.SIGKILL); os.waitpid(pid, 0); return 'survived' if most else 'timeout'
        time.sleep(.02)

def tried(path, nb, todo, flags, seconds, most=0):
    "(mutant, outcome) of mutants [(cell, source, …)]: the cells before a mutant's run once for all of them"
    r,w = os.pipe()
    if not quiet_fork():
        try:
            os.close(r); os.chdir(Path(path).parent)
            sh,left = CaptureShell(path=None),list(range(len(todo)))
            cells = [(i,c) for i,c in enumerate(nb.cells) if c.cell_type=='code' and not flagged(c, flags)]
            for j,(i,c) in enumerate(cells):
                now = [k for k in left if todo[k][0]<=i or LEAVES.search(c.source)] # they leave nothing to one another
                for k in now: os.write(w, f'{k} {end_of(sh, cells[j:], *todo[k][:2], seconds, most)}\n'.encode())
                left = [k for k in left if k not in now]
                if not left: break
                sh.cell(c)
        finally: os._exit(0)
    os.close(w)
    with open(r) as f:
        for l in f: k,got = l.split(); yield todo[int(k)],got

def exported(nb):
    "Numbers of the exported cells without imports"
    def ok(s): return re.match(r'#\| export', s) and not re.search(r'^(import|from) ', s, re.M)
    return [i for i,c in enumerate(nb.cells) if c.cell_type=='code' and ok(c.source)]

def mutants(nb):
    "Every mutation of a notebook: (kind, line, how many-th of that kind in a line of that text) → (cell, number in the cell)"
    res,nth = {},Counter()
    for i in exported(nb):
        tree = ast.parse(nb.cells[i].source)
        for k in range(len(list(places(tree)))):
            how,line = line_of(nb.cells[i].source, tree, k)
            res[how,line,str(nth[how,line])] = i,k
            nth[how,line] += 1
    return res

def drawn(nb, n, seed, lines):
    "n mutants, drawn: (cell, its new source, kind, line, place)"
    muts = {m:at for m,at in mutants(nb).items() if re.search(lines, m[1])}
    some = random.Random(seed).sample(list(muts), min(n, len(muts)))
    return [(muts[m][0], mutate(nb.cells[muts[m][0]].source, muts[m][1]), *m) for m in some]

def aimed(nb, lines=''):
    "Mutants of the list `aimed.py` that are of this notebook"
    from aimed import AIMED
    res = []
    for what,old,new in AIMED:
        at = [i for i,c in enumerate(nb.cells) if c.cell_type=='code' and c.source.startswith('#| export') and old in c.source]
        if re.search(lines, what): res += [(i, nb.cells[i].source.replace(old, new), 'aimed', what, '0') for i in at[:1]]
    return res

def survivors(rows, p, nb):
    "Drawn mutants of a notebook that nothing noticed: (cell, its new source, kind, line, place)"
    at = mutants(nb)
    keys = [k[1:] for k,v in rows.items() if k[0]==p and k[1]!='aimed' and v[3]=='survived']
    return [(at[k][0], mutate(nb.cells[at[k][0]].source, at[k][1]), *k) for k in keys]

def lost(paths):
    "Aimed mutations whose text is in no notebook any more"
    from aimed import AIMED
    there = {m[3] for p in paths for m in aimed(read_nb(p))}
    return [what for what,*_ in AIMED if what not in there]

COLUMNS = ('notebook','mutation','line','place','seed','first','commit','outcome','why') # place: the first, second, … such change of such a line; first: the outcome when it was drawn
def read_rows(out):
    "What was tried: (notebook, mutation, line, place) → (seed, first outcome, commit, outcome, why)"
    if not out or not Path(out).exists(): return {}
    with open(out, encoding='utf-8', newline='') as f: rows = list(csv.DictReader(f))
    return {tuple(r[c] for c in COLUMNS[:4]):tuple(r[c] for c in COLUMNS[4:]) for r in rows}

def write_rows(out, rows):
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    table = sorted((*k,*map(str, v)) for k,v in rows.items())
    with open(out, 'w', newline='', encoding='utf-8') as f: csv.writer(f, lineterminator='\n').writerows([COLUMNS, *table])

def there(rows, paths):
    "The rows whose line a notebook still holds, and whose aimed mutation is still on the list"
    now = {(p,*m) for p in paths for m in mutants(read_nb(p))} | {(p,*m[2:]) for p in paths for m in aimed(read_nb(p))}
    return {k:v for k,v in rows.items() if k in now}

def commit():
    "The commit that is tried; one whose notebooks were changed since is none"
    git = lambda *a: subprocess.run(['git', *a], capture_output=True, text=True, check=True).stdout.strip()
    if git('status', '--porcelain', '--untracked-files=no', 'nbs', 'dnd_nb'): sys.exit('nbs or dnd_nb are changed: commit them first, so that the table can name a commit')
    return git('rev-parse', '--short=10', 'HEAD')

sys.argv[1:] = ['--go_on' if a=='--go-on' else a for a in sys.argv[1:]] # as other commands read it

@call_parse
def main(
    paths:Param('Notebooks, as nbs/io/files.ipynb or io/files; all if none', str, nargs='*'),
    n:int=None, # mutants of each, drawn; 40, or with --listed none, if not given
    seed:int=0,
    out:str='', # CSV to add to, e.g. results/faults/mutation.csv; rows whose line is gone leave it
    lines:str='', # only lines, or with --listed names, that match this regular expression
    listed:store_true=False, # the mutations of aimed.py; drawn ones beside them if --n is given
    go_on:store_true=False, # try only what is not in the CSV, or survived there
    again:store_true=False, # try the drawn ones of the CSV that survived, and draw none
    most:float=0, # seconds of tests a mutant, after which it has survived; 0: three times as long as the notebook, then `timeout`
    seconds:float=0, # begin nothing after so long; 0: no limit
):
    "Mutate exported cells and count what the tests of the same notebook notice"
    import torch, transformers, peft, pandas # loaded once, for all forks
    torch.set_num_threads(1)
    flags,rows,t1 = set(get_config().tst_flags.split()),read_rows(out),time.time()
    every = sorted(str(p) for p in Path('nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in str(p))
    if listed and (gone := lost(every)):
        sys.exit(f'{len(gone)} mutations of aimed.py match no exported cell (aim them anew): {"; ".join(gone)}')
    paths = [p if p.endswith('.ipynb') else f'nbs/{p}.ipynb' for p in paths] or every
    at = commit() if out else ''
    if out: rows = there(rows, every)
    for p in paths:
        nb = read_nb(p)
        todo = (aimed(nb, lines) if listed else []) + drawn(nb, (0 if listed else 40) if n is None else n, seed, lines)
        if again: todo = survivors(rows, p, nb)
        if go_on: todo = [m for m in todo if (p,*m[2:]) not in rows or rows[p,*m[2:]][3]=='survived']
        if not todo or seconds and time.time()-t1>seconds: continue
        with tempfile.TemporaryDirectory() as os.environ['MUTANTS']:
            t0 = time.time()
            if [got for _,got in tried(p, nb, [(0,nb.cells[0].source)], flags, 900)]!=['survived']:
                print(f'{p}: its tests fail as it is', flush=True); continue
            base,seen = time.time()-t0,Counter()
            for (_,_,*key),got in tried(p, nb, todo, flags, 3*base+20, most):
                seen[got] += 1
                was = rows.get((p,*key), ('' if key[0]=='aimed' else seed,got)) # a later try keeps the first outcome
                rows[p,*key] = *was[:2],at,got,''
                if got=='survived': print(f'survived {p} {" ".join(key)}', flush=True)
                if out: write_rows(out, rows)
                if seconds and time.time()-t1>seconds: break
        print(f'{p}: {dict(seen)} of {len(todo)} ({base:.1f} s a run)', flush=True)
    if out: write_rows(out, rows)
