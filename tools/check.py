"""What must hold of the repository besides its tests: `python tools/check.py`, or only some checks by name.

Files that a tool makes (clean notebooks, the package, README) are made again in a scratch copy and compared."""
import ast, filecmp, fnmatch, json, math, os, re, shutil, subprocess, sys, tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from fastcore.script import call_parse, Param, store_true

root = Path(__file__).resolve().parent.parent
kb_cell = 60  # bound on saved outputs of a cell
checks = {}

def check(f): checks[f.__name__] = f; return f

def notebooks(top=root): return sorted(p for p in (top/'nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts)
def rel(p, top=root): return Path(p).relative_to(top).as_posix()
def cells(p): return list(enumerate(json.loads(p.read_text(encoding='utf-8'))['cells']))

def scratch(tmp):
    "A copy of what the tools read, to run them on"
    to = Path(tmp)/'repo'
    skip = shutil.ignore_patterns('__pycache__', '.ipynb_checkpoints', 'sidebar.yml')
    for d in ('nbs', 'dnd_nb', 'tools'): shutil.copytree(root/d, to/d, symlinks=True, ignore=skip)
    for f in ('settings.ini', '_quarto.yml', 'README.md'):
        if (root/f).exists(): shutil.copy(root/f, to/f)
    return to

def run(to, *cmd):
    env = {k:v for k,v in os.environ.items() if k != 'IN_TEST'}
    r = subprocess.run([sys.executable, *cmd], cwd=to, env=env, capture_output=True, text=True)
    if r.returncode: raise SystemExit(f'{" ".join(cmd)}:\n{r.stdout}{r.stderr}')

def differ(to, folders, globs, mend):
    "Files that are not the same in the scratch copy as here, missing ones included"
    fs = {rel(p, top) for top in (root, to) for d in folders for g in globs for p in (top/d).rglob(g) if '__pycache__' not in p.parts and '.ipynb_checkpoints' not in p.parts}
    return [f'{f}: {mend}' for f in sorted(fs) if not ((root/f).exists() and (to/f).exists() and filecmp.cmp(root/f, to/f, shallow=False))]

@check
def clean():
    "nbdev_clean leaves no diff"
    with tempfile.TemporaryDirectory() as tmp:
        to = scratch(tmp)
        run(to, '-c', 'from nbdev.clean import nbdev_clean; nbdev_clean.__wrapped__()')
        return differ(to, ['nbs'], ['*.ipynb'], 'not clean, run nbdev_clean')

@check
def export():
    "nbdev_export leaves no diff, and every module comes from a notebook"
    with tempfile.TemporaryDirectory() as tmp:
        to = scratch(tmp)
        for p in (to/'dnd_nb').rglob('*.py'):
            if p.name != '__init__.py': p.unlink()
        run(to, '-c', 'from nbdev.doclinks import nbdev_export; nbdev_export.__wrapped__(procs=None)\nfrom nbdev.quarto import refresh_quarto_yml; refresh_quarto_yml()')
        return differ(to, ['dnd_nb'], ['*.py'], 'not what the notebooks export, run nbdev_export') + \
               differ(to, ['nbs'], ['nbdev.yml'], 'not what settings.ini says, run tools/docs.py')

@check
def readme():
    "README.md and its figures are what nbs/index.ipynb says"
    with tempfile.TemporaryDirectory() as tmp:
        to = scratch(tmp)
        run(to, 'tools/readme.py')
        same = filecmp.cmp(root/'README.md', to/'README.md', shallow=False) # the one at the top: folders have theirs
        return ([] if same else ['README.md: run tools/readme.py']) + differ(to, ['nbs'], ['images/index_*'], 'run tools/readme.py')

@check
def ids():
    "Every cell of a notebook has an id of its own"
    bad = []
    for p in notebooks():
        seen = [c.get('id') for _,c in cells(p)]
        bad += [f'{rel(p)} cell {i}: {f"its id {x} is an earlier one" if x else "no id"}' for i,x in enumerate(seen) if not x or x in seen[:i]]
    return bad

def shown_text(o): # of an output, what a page shows as plain text
    d = o.get('data', {})
    return ''.join(o['text']) if 'text' in o else ''.join(d['text/plain']) if d and not set(d)-{'text/plain'} else ''

@check
def outputs():
    "Saved outputs hold no error, no warning, no line over 200 characters, and are small"
    bad = []
    for p in notebooks():
        for i,c in cells(p):
            outs = c.get('outputs', [])
            for o in outs:
                if o['output_type'] == 'error': bad.append(f'{rel(p)} cell {i}: saved error {o["ename"]}: {o["evalue"][:80]}')
                if o.get('name') == 'stderr': bad.append(f'{rel(p)} cell {i}: saved stderr: {"".join(o["text"])[:80]!r}')
                if wide := [l for l in shown_text(o).split('\n') if len(l)>200]: bad.append(f'{rel(p)} cell {i}: a line of {len(wide[0])} characters, over 200: run tools/refresh.py')
            if (n := len(json.dumps(outs))) > kb_cell*1000: bad.append(f'{rel(p)} cell {i}: {n//1000} KB of outputs, over {kb_cell}')
    return bad

@check
def titles():
    "A title cell holds `# title`, `> one line` and nothing else: nbdev makes it front matter and drops the rest"
    bad = []
    for p in notebooks():
        first = ''.join(cells(p)[0][1]['source'])
        if not re.fullmatch(r'#\s+\S.*\n+>\s+\S.*\s*', first): bad.append(f'{rel(p)}: first cell is not `# title` and `> one line`: {first[:80]!r}')
    return bad

def mixed(src):
    "Does a cell both import, anywhere in it, and do more than import and set things up?"
    try: tree = ast.parse(re.sub(r'^\s*[%!].*', '', src, flags=re.M))
    except SyntaxError: return False
    imports = (ast.Import, ast.ImportFrom)
    return any(isinstance(o, imports) for o in ast.walk(tree)) and any(not isinstance(o, (*imports, ast.Expr)) for o in tree.body)

@check
def imports():
    "Imports are alone in their cells: the docs build runs every cell that has one, and only those and the exported ones"
    run_or_not = re.compile(r'^#\|\s*(export|exports|exporti|eval:\s*false)', re.M)
    return [f'{rel(p)} cell {i}: {src.strip()[:60]!r}' for p in notebooks() for i,c in cells(p) if c['cell_type'] == 'code'
            for src in [''.join(c['source'])] if not run_or_not.search(src) and mixed(src)]

_path = re.compile(r'(?<![\w.~+=/<-])/(?:work|root|tmp|home|Users|mnt)/[\w.]')

@check
def paths():
    "No file names a folder of one machine"
    bad = []
    for p in notebooks():
        for i,c in cells(p):
            texts = [''.join(c['source'])]
            for o in c.get('outputs', []):
                texts += [''.join(o.get('text', ''))] + [''.join(v) for k,v in o.get('data', {}).items() if k.startswith('text')]
            bad += [f'{rel(p)} cell {i}: {t[m.start():m.start()+60]!r}' for t in texts for m in [_path.search(t)] if m]
    files = [p for d in ('dnd_nb', 'tools', '.ci', '.github', 'results') for p in (root/d).rglob('*') if p.suffix in {'.py','.yml','.json','.jsonl','.csv','.md',''} and p.is_file()]
    for p in files + sorted(root.glob('*.*')):
        if not p.is_file() or '__pycache__' in p.parts or p.name == '.git': continue
        t = p.read_text(encoding='utf-8')
        if m := _path.search(t): bad.append(f'{rel(p)}: {t[m.start():m.start()+60]!r}')
    return bad

class Page(HTMLParser):
    "Ids, links and visible text of a page"
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.text, self.remote, self.off, self.error = set(), [], [], [], 0, False
        self.mute, self.modes, self.pre = [], set(), 0 # pictures without words; light and dark; in code?
        self.feed(text)
    def handle_starttag(self, tag, attrs):
        d = dict(attrs)
        if d.get('id'): self.ids.add(d['id'])
        self.links += [d[k] for k in ('href','src') if d.get(k)]
        if tag in ('script','link','img') and re.match(r'(https?:)?//', d.get('src') or d.get('href') or '') and d.get('rel') != 'canonical': self.remote.append(d)
        if tag=='img' and not d.get('alt'): self.mute.append(d.get('src', '')[:40])
        self.pre += tag=='pre'
        if d.get('data-mode'): self.modes.add(d['data-mode'])
        self.off += tag in ('script','style')
        self.error |= 'cell-output-error' in (d.get('class') or '')
    def handle_endtag(self, tag):
        self.off -= tag in ('script','style')
        self.pre -= tag=='pre'
    def handle_data(self, data):
        if not self.off: self.text.append(data.replace('\\', '') if self.pre else data) # no formula begins in code

def broken(p, page, pages):
    for l in page.links:
        if re.match(r'[\w+.-]+:|//', l): continue
        path, _, frag = l.partition('#')
        to = (p.parent/unquote(path.partition('?')[0])).resolve() if path else p
        if to.is_dir(): to /= 'index.html'
        if not to.exists() or root/'_docs' not in to.parents: yield l
        elif frag and to in pages and unquote(frag) not in pages[to].ids: yield l

GROUPS = ['Start','Use','Understand','API','Results'] # of the sidebar

def shape_of(p, page):
    "What each page must have besides its text"
    if (kb := p.stat().st_size/1000)>250: yield f'{rel(p)}: {kb:.0f} KB, over 250'
    yield from (f'{rel(p)}: a figure without alt text: {s}' for s in page.mute)
    if page.modes!={'light','dark'}: yield f'{rel(p)}: no light and dark mode'
    if lack := [g for g in GROUPS if g not in page.text]: yield f'{rel(p)}: no group {lack[0]} in the sidebar'
    source = [l for l in page.links if re.search('/edit/[^/]+/', l)]
    if not source: yield f'{rel(p)}: no link to edit it'
    yield from (f'{rel(p)}: {l} is no file of the repository' for l in source if not (root/re.split('/edit/[^/]+/', l)[1]).exists())

@check
def site():
    "Links inside the built site resolve; nothing raw or broken is shown; no page needs another host; size, alt text, groups, modes, links to edit"
    docs = root/'_docs'
    pages = {p.resolve(): Page(p.read_text(encoding='utf-8')) for p in sorted(docs.rglob('*.html'))}
    if not pages: return ['_docs is missing, run tools/docs.py']
    bad = []
    for p,page in pages.items():
        bad += [f'{rel(p)}: broken link {l}' for l in dict.fromkeys(broken(p, page, pages))]
        bad += [f'{rel(p)}: shows {t.strip()[:60]!r}' for t in page.text if re.search(r'^\s*(#\||:::)|\\[(\[].*\\[)\]]', t, re.M)]
        bad += [f'{rel(p)}: needs another host: {d.get("src") or d.get("href")}' for d in page.remote]
        if page.error: bad.append(f'{rel(p)}: shows a saved error')
        bad += list(shape_of(p, page))
    bad += [f'{rel(p)}: needs another host: {m.group(0)}' for p in sorted(docs.rglob('*.css')) for m in re.finditer(r'@import[^;]*//[^;]*', p.read_text(encoding='utf-8'))]
    if not (docs/'search.js').exists(): bad.append('_docs/search.js is missing: search would not work from a file')
    built, want = {p.stem for p in pages}, {re.sub(r'^\d+[a-zA-Z0-9]*_', '', p.stem.lower()) for p in notebooks() if p.name[0] != '_'}
    return bad + [f'_docs has no page {o}.html' for o in sorted(want - built)]

@check
def listed():
    "tools/, experiments/ and results/ have a README that names each of their files, and no other; .ci/run has each check"
    bad = []
    for d in ('tools','experiments','results'):
        text = (root/d/'README.md').read_text(encoding='utf-8')
        names = {n for n in re.findall(r'^\|([^|]*)\|', text, re.M) for n in re.findall(r'`([^`]+)`', n)}
        if d!='results': names = {n for n in names if '.' in n}
        files = [p.name+'/'*p.is_dir() for p in (root/d).iterdir() if p.name not in ('README.md','__pycache__','exceptions.json')]
        bad += [f'{d}/README.md: no line for {f}' for f in sorted(files) if not any(fnmatch.fnmatch(f, n) for n in names)]
        bad += [f'{d}/README.md: there is no {n}' for n in sorted(names) if not fnmatch.filter(files, n)]
    run = re.findall(r'\w+', (root/'.ci'/'run').read_text(encoding='utf-8'))
    return bad + [f'.ci/run does not run the check {c}' for c in checks if c not in run]

@check
def failing():
    "A test that something fails runs it: `with expect_fail(…): …`, or `test_fail(lambda: …)`"
    hits = [(p,i) for p in notebooks() for i,c in cells(p) if c['cell_type']=='code' and re.search(r'^\s*expect_fail\(', ''.join(c['source']), re.M)]
    return [f'{rel(p)} cell {i}: expect_fail without with tests nothing' for p,i in hits]

# Rules of style that a program can check. tools/exceptions.json lists where they do not hold yet: rule → file → how
# much. A new or larger exception fails; so does one that is no longer needed. The file may only shrink.
exceptions_file = root/'tools'/'exceptions.json'
rules = {}

def rule(f):
    "A function that gives (file, how often or how far the rule does not hold, where); as a check, against the exceptions"
    rules[f.__name__] = f
    def against():
        hits,old = list(f()),read_exceptions().get(f.__name__, {})
        now = counted(hits)
        worse = [f'{k}: {n}, at most {old.get(k, 0)}: {places(hits, k)}' for k,n in sorted(now.items()) if n>old.get(k, 0)]
        spare = [f'{k}: {now.get(k, 0)}, the exception says {n}: run tools/check.py --write-exceptions' for k,n in sorted(old.items()) if now.get(k, 0)<n]
        return worse+spare
    against.__doc__ = f.__doc__
    checks[f.__name__] = against
    return f

def read_exceptions(): return json.loads(exceptions_file.read_text(encoding='utf-8')) if exceptions_file.exists() else {}

def counted(hits): # of (file, how much, where) → file: sum, where it is above 0
    res = {}
    for k,n,_ in hits:
        if n>0: res[k] = res.get(k, 0)+int(n)
    return res

def places(hits, file, most=5): # where in a file
    at = [w for k,n,w in hits if k==file and n>0]
    return '; '.join(at[:most]) + f'; and {len(at)-most} more'*(len(at)>most)

def modules(): return sorted(p for p in (root/'dnd_nb').rglob('*.py') if p.name not in ('_modidx.py','__init__.py'))
def src(c): return ''.join(c['source'])
def flagged(c, word): return bool(re.search(rf'^\s*#\s*\|\s*{word}\b', src(c), re.M))
def own_lines(c): return [l for l in src(c).split('\n') if l.strip() and not re.match(r'\s*#\s*\|', l)]
def code_cells(p): return [c for _,c in cells(p) if c['cell_type']=='code']
def exported(c): return flagged(c, 'exporti?s?')

@rule
def room_size():
    "A room has at most 450 lines of code; how many more"
    def n(p): return sum(1 for l in p.read_text(encoding='utf-8').split('\n') if l.strip() and not l.strip().startswith('#'))
    return ((rel(p), n(p)-450, 'cut the room') for p in modules())

@rule
def line_length():
    "Lines of exported code have at most 120 characters"
    return ((rel(p), len(l)>120, f'cell {c["id"]}, {l.strip()[:40]!r}') for p in notebooks() for c in code_cells(p) if exported(c) for l in own_lines(c))

def defines(c):
    "Does this cell define something public?"
    try: body = ast.parse('\n'.join(own_lines(c))).body
    except SyntaxError: return False
    return any(isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not n.name.startswith('_') for n in body)

def shows(c):
    "Does a reader see an example or a test in this cell?"
    tests = re.search(r'\b(test_\w+\(|test\(|expect_fail|ExceptionExpected|assert )', src(c))
    return not exported(c) and not flagged(c, 'hide') and bool(c.get('outputs') or tests)

@rule
def example_after():
    "A definition is followed within two code cells by an example or a test that a reader sees; how many are not"
    for p in notebooks():
        cs = code_cells(p)
        yield from ((rel(p), exported(c) and defines(c) and not any(map(shows, cs[i+1:i+3])), f'cell {c["id"]}') for i,c in enumerate(cs))

def public_functions(p): # (function, lines of the file)
    text = p.read_text(encoding='utf-8')
    body = ast.parse(text).body
    fs = body + [o for c in body if isinstance(c, ast.ClassDef) and not c.name.startswith('_') for o in c.body]
    made = lambda f: any('task_maker' in ast.unparse(d) for d in f.decorator_list)
    return [f for f in fs if isinstance(f, ast.FunctionDef) and not f.name.startswith('_') and not made(f)], text.split('\n')

@rule
def docstrings():
    "Every public function has a docstring; how many have none"
    return ((rel(p), ast.get_docstring(f) is None, f.name) for p in modules() for f in public_functions(p)[0])

@rule
def docments():
    "Every parameter of a public function has a comment; how many have none"
    def args(f): return [a for a in f.args.posonlyargs+f.args.args+f.args.kwonlyargs if a.arg not in ('self','cls')]
    return ((rel(p), '#' not in lines[a.lineno-1], f'{f.name}({a.arg})') for p in modules() for fs,lines in [public_functions(p)] for f in fs for a in args(f))

def figure(c): return any(k.startswith('image/') for o in c.get('outputs', []) for k in o.get('data', {}))

@rule
def alt_text():
    "A cell with a figure says in `#| fig-alt:` what is seen; how many do not"
    return ((rel(p), figure(c) and not flagged(c, 'fig-alt'), f'cell {c["id"]}') for p in notebooks() for c in code_cells(p))

def sentences(text):
    "The sentences of a text in markdown, without headings, code, tables and formulas; a colon ends one too"
    text = re.sub(r'```.*?```|\$\$.*?\$\$', ' ', text, flags=re.S)
    lines = [l for l in text.split('\n') if not re.match(r'\s*(#|\||>|!\[)', l)]
    blocks = re.split(r'\n\s*\n|\n\s*(?:[-*]|\d+\.)\s', '\n'.join(lines)) # a paragraph, or an item of a list
    ends = r'(?<=[.!?:])[)*]*\s+' # a sentence may end in a bracket or in emphasis
    return [s for b in blocks for s in re.split(ends, ' '.join(b.split())) if len(s.split())>2]

def strings(code): # the texts that code holds, each with whether it is a docstring; what an f-string fills in is `x`
    tree = ast.parse(code)
    parts = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in n.values}
    docs = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for n in ast.walk(tree):
        if isinstance(n, ast.JoinedStr): yield ''.join(v.value if isinstance(v, ast.Constant) else 'x' for v in n.values), False
        elif isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in parts: yield n.value, id(n) in docs

def said(p): # texts of a notebook that a reader reads: prose, what cells show as prose, docstrings and messages
    for _,c in cells(p):
        if c['cell_type']=='markdown': yield src(c)
        yield from (''.join(o['data']['text/markdown']) for o in c.get('outputs', []) if 'text/markdown' in o.get('data', {}))
        if c['cell_type']=='code' and exported(c):
            for t,doc in strings('\n'.join(own_lines(c))):
                if doc: yield t
                elif re.search('[,;:.] ', t): yield t.replace('; ', '. ') # a message of one line: what is wrong; the mend

BY_HAND = ['CHANGELOG.md','CONTRIBUTING.md','SECURITY.md','tools/README.md','experiments/README.md','results/README.md','dnd_nb/default/README.md']

@rule
def long_sentences():
    "A sentence of prose, of a docstring or of a message has at most 25 words; how many have more"
    texts = [(p, t) for p in notebooks() for t in said(p)]
    texts += [(root/f, (root/f).read_text(encoding='utf-8')) for f in BY_HAND]
    return ((rel(p), len(s.split())>25, f'{s[:60]!r}…') for p,t in texts for s in sentences(t))

def banned(): # name that is not used → the word for it: the third column of the table on the page glossary
    rows = [l.split(' | ') for _,c in cells(root/'nbs'/'glossary.ipynb') for l in src(c).split('\n') if l.startswith('| **')]
    return {no.strip(' |'): word.strip('| *') for word,_,nots in rows for no in nots.split(';') if no.strip(' |')}

def words_of(p): # what a reader of a notebook reads: `said`, and comments beside parameters, labels of figures, titles
    yield from said(p)
    for c in code_cells(p):
        if exported(c): yield from (l.partition('#')[2] for l in own_lines(c))
        else:
            try: yield from (t for t,_ in strings('\n'.join(own_lines(c))) if ' ' in t.strip() or flagged(c, 'fig-alt'))
            except SyntaxError: pass # of IPython's own lines
        yield from re.findall(r'fig-alt:(.*)', src(c))

def plain(text): return re.sub(r'```.*?```|`[^`\n]*`', ' ', text, flags=re.S) # without what is code

@check
def vocabulary():
    "One word a thing: no text has a name that the glossary says is not used"
    nots = banned()
    rx = re.compile(r'\b(' + '|'.join(re.escape(n) for n in sorted(nots, key=len, reverse=True)) + r')s?\b(?! adapters?\b)', re.I)
    texts = [(rel(p), t) for p in notebooks() if p.stem!='glossary' for t in words_of(p)]
    texts += [(rel(p), p.read_text(encoding='utf-8')) for p in sorted(root.glob('*.md'))+sorted(root.glob('*/*.md'))+sorted((root/'dnd_nb').rglob('*.md'))]
    known = {n.lower():w for n,w in nots.items()}
    return [f'{p}: {m[0]!r}: say {known[m[1].lower()]!r}: …{" ".join(t[max(0,m.start()-40):m.end()+30].split())}…'
            for p,t in texts for t in [plain(t)] for m in rx.finditer(t)]

@rule
def notebook_size():
    "A notebook has at most 150 KB; how many more, in steps of 25"
    return ((rel(p), 25*math.ceil((p.stat().st_size/1000-150)/25), 'smaller outputs, or two pages') for p in notebooks())

@check
def aimed():
    "Each mutation of tools/aimed.py meets an exported cell"
    from aimed import AIMED
    cells = [src(c) for p in notebooks() for c in code_cells(p) if exported(c)]
    return [f'{what}: no exported cell has {old[:60]!r} any more: write there what the line reads now, in tools/aimed.py' for what,old,_ in AIMED if not any(old in s for s in cells)]

@check
def kinds_shown():
    "The front page counts the generators, losses, readers, checks, … that the registries hold"
    from dnd_nb.choices import choices
    shown = ''.join(t for _,c in cells(root/'nbs'/'index.ipynb') for o in c.get('outputs', []) for t in o.get('data', {}).get('text/markdown', []))
    mend = 'run tools/refresh.py nbs/index.ipynb, then tools/readme.py'
    return [f'nbs/index.ipynb: {len(g)} of {k} are there, the page shows another number: {mend}' for k,g in choices().groupby('what') if f'| {k} | {len(g)} |' not in shown]

def shrink():
    "Write what does not hold today, unless a rule would have more exceptions than before"
    old,now = read_exceptions(),{k:dict(sorted(counted(f()).items())) for k,f in rules.items()}
    grown = [f'{k}: {sum(now[k].values())} in all, {sum(old[k].values())} before' for k in now if k in old and sum(now[k].values())>sum(old[k].values())]
    if grown: raise SystemExit('exceptions may only shrink:\n' + '\n'.join(grown))
    exceptions_file.write_text(json.dumps(now, indent=1)+'\n', encoding='utf-8')
    print(*(f'{k}: {sum(v.values())} in {len(v)} files' for k,v in now.items()), sep='\n')

sys.argv[1:] = ['--write_exceptions' if a=='--write-exceptions' else a for a in sys.argv[1:]] # as other commands read it

@call_parse
def main(
    names:Param('Checks to run; all but `site`, which needs a built site, if none is named', str, nargs='*'),
    write_exceptions:Param('Write tools/exceptions.json anew; it may only shrink', store_true)=False,
):
    "Check what the tests do not: one line a check, then what is wrong; exit 1 if anything is"
    if write_exceptions: return shrink()
    if unknown := set(names or []) - set(checks): raise SystemExit(f'no check {", ".join(sorted(unknown))}; there are {", ".join(checks)}')
    failed = 0
    for n in names or [o for o in checks if o != 'site']:
        bad = checks[n]()
        failed += bool(bad)
        print(f'{"FAIL" if bad else "ok  "} {n}: {checks[n].__doc__}', *(f'     {o}' for o in bad), sep='\n', flush=True)
    sys.exit(failed > 0)
