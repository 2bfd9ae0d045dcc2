"""The docs site, without quarto: nbdev processes the notebooks, smalldocs renders them.

nbdev leaves `output-file` and absolute links for quarto; here pages are renamed and links made relative instead."""
import html, json, os, re, shutil, sys, tempfile, unicodedata
from importlib.metadata import entry_points
from pathlib import Path
import yaml
from fastcore.script import call_parse, Param
from nbdev.config import get_config
import nbdev.doclinks
from nbdev.quarto import refresh_quarto_yml, nbdev_sidebar
from nbdev.serve import proc_nbs

_number = r'\d+[a-zA-Z0-9]*_'  # nbdev leaves this prefix out of the names of pages and sections

def page_name(name): return re.sub(f'^{_number}', '', name)

def relink(text, site_url, up='', repo_url=''):
    "Links to the published site or to a numbered notebook, as relative links of this site; to other files of the repository, as links there"
    text = text.replace(f'{site_url}/', up)
    text = re.sub(r'\]\((?:\.\./)+([A-Z]+(?:\.md)?)\)', rf']({repo_url}/\1)', text)
    return re.sub(rf'(\]\((?:\.\./|\w+/)*){_number}([\w.-]+)\.(?:ipynb|html)\b', r'\1\2.ipynb', text)

def unlink_code(text):
    "nbdev links names inside signatures too, where a link shows as raw markdown: only the name stays"
    parts = re.split(r'(^```.*?^```)', text, flags=re.M|re.S)
    return ''.join(re.sub(r'\[(`[^`]+`)\]\([^)\s]+\)', r'\1', o) if o.startswith('```') else o for o in parts)

def relink_nb(path, site_url, up, repo_url):
    nb = json.loads(path.read_text(encoding='utf-8'))
    nb['metadata'].pop('widgets', None)  # static pages show no widgets, their state only weighs
    for c in nb['cells']:
        if c['cell_type'] != 'code': c['source'] = relink(''.join(c['source']), site_url, up, repo_url)
        for o in c.get('outputs', []):
            md = o.get('data', {}).get('text/markdown')
            if md is not None: o['data']['text/markdown'] = unlink_code(relink(''.join(md), site_url, up, repo_url))
    path.write_text(json.dumps(nb), encoding='utf-8')

def plain_pages(site, site_url, repo_url):
    "Rename pages as nbdev would have quarto name them, in the folder and in what refers to them: new path → old path"
    was = {}
    for p in sorted(site.rglob('*.ipynb')):
        relink_nb(p, site_url, '../'*len(p.relative_to(site).parts[:-1]), repo_url)
        to = p.with_name(page_name(p.name.lower()))
        if to != p and to.exists(): raise SystemExit(f'{p.name} and {to.name} would be one page: rename one')
        was[to.relative_to(site).as_posix()] = p.relative_to(site).as_posix()
        p.rename(to)
    for f in ('_quarto.yml', 'sidebar.yml'):
        p = site/f
        p.write_text(re.sub(rf'(?<=[\s/]){_number}([\w.-]+\.ipynb)', r'\1', p.read_text(encoding='utf-8')), encoding='utf-8')
    return was

wings = dict(io='Files', tasks='Tasks', fast='Fast', generators='Generators', checks='Checks', study='Study', bench='Measures')
use = 'demo use generate written explore workbench explorer lines near share cli choices'.split() # pages about using the commands
understand = 'reader strength examples doctor'.split() # of the lettered rooms, those that a reader of the method needs
lessons = 'first_adapter first_result own_tasks own_base read_the_doctor add_your_own'.split() # in reading order

def group_of(name): # name: of a notebook, as nbs/ has it, without its folder
    "The group of a page at the top: chapters have a plain number, rooms that they need a letter too"
    page = page_name(name).removesuffix('.ipynb')
    if page in ('index','glossary'): return 'Start'
    if page in use: return 'Use'
    return 'Understand' if page in understand or re.match(r'\d+_', name) else 'API'

def section(name, contents): return dict(section=name, contents=contents)

def group_pages(path, nbs):
    "The sidebar in the groups Start, Use, Understand, API and Results; a wing is a section of API"
    d = yaml.safe_load(path.read_text(encoding='utf-8'))
    bar = d['website']['sidebar']
    folders = {o['section']:o['contents'] for o in bar['contents'] if isinstance(o, dict)}
    groups = {g:[] for g in ('Start','Use','Understand','API')}
    names = {page_name(p.name):p.name for p in nbs.glob('*.ipynb')}
    for p in bar['contents']:
        if isinstance(p, str): groups[group_of(names.get(p, p))].append(p)
    groups['Start'].sort(key=lambda p: p!='index.ipynb')
    groups['Use'].sort(key=lambda p: use.index(Path(p).stem))
    groups['Start'][1:1] = sorted(folders.pop('tutorials', []), key=lambda p: [*lessons, Path(p).stem].index(Path(p).stem))
    results = folders.pop('studies', [])
    order = sorted(folders, key=lambda k: [*wings, k].index(k))
    groups['API'] += [section(wings.get(k, k.replace('_', ' ').capitalize()), folders[k]) for k in order]
    bar['contents'] = [section(g, o) for g,o in (groups | dict(Results=results)).items() if o]
    path.write_text(yaml.safe_dump(d, sort_keys=False), encoding='utf-8')

def only_pages(path, site):
    "Leave links to notebooks that this checkout does not have out of the navbar"
    d = yaml.safe_load(path.read_text(encoding='utf-8'))
    bar = d['website']['navbar']
    bar['left'] = [o for o in bar['left'] if (site/o['href']).exists()]
    path.write_text(yaml.safe_dump(d, sort_keys=False), encoding='utf-8')

def mend_anchors(docs):
    "A method without a heading of its own is documented with its class: link there; a private name has none, so link to its page"
    pages = {p: p.read_text(encoding='utf-8') for p in docs.rglob('*.html')}
    ids = {p: set(re.findall(r'\bid="([^"]+)"', t)) for p,t in pages.items()}
    def mend(p, m):
        path, frag = m.groups()
        to = Path(os.path.normpath(p.parent/path)) if path else p
        if to not in ids: return m.group(0)
        while frag not in ids[to] and '.' in frag: frag = frag.rpartition('.')[0]
        return f'href="{path}#{frag}"' if frag in ids[to] else f'href="{path or p.name}"'
    for p,t in pages.items(): p.write_text(re.sub(r'href="([\w./-]*)#([\w.-]+)"', lambda m: mend(p, m), t), encoding='utf-8')

def letter(m):
    "Browsers draw double-struck and script letters only as characters of their own"
    kind, c = m.groups()
    for name in (f'MATHEMATICAL {kind.upper()} CAPITAL {c}', f'{kind.upper()} CAPITAL {c}'):
        try: return f'<mi>{unicodedata.lookup(name)}</mi>'
        except KeyError: pass

def mathml(m):
    "TeX between the delimiters of a span, as MathML"
    from latex2mathml.converter import convert
    kind, tex = m.groups()
    try: out = convert(html.unescape(tex), display='block' if kind == 'display' else 'inline')
    except Exception as e: raise SystemExit(f'not TeX that latex2mathml reads: {html.unescape(tex)!r}: {e!r}') from e
    return f'<span class="math {kind}">' + re.sub(r'<mi mathvariant="(double-struck|script)">([A-Z])</mi>', letter, out) + '</span>'

def own_math(docs):
    "Formulas as MathML, which browsers draw: smalldocs would fetch a script for them from another host"
    for p in docs.rglob('*.html'):
        t = p.read_text(encoding='utf-8')
        t = re.sub(r'<span class="math (inline|display)">\\[(\[](.*?)\\[)\]]</span>', mathml, t, flags=re.S)
        p.write_text(re.sub(r'<script[^>]*/katex[^>]*></script>|<link[^>]*/katex[^>]*>', '', t), encoding='utf-8')

def own_fonts(docs):
    "Themes fetch fonts from another host; the browser's own do"
    for p in docs.rglob('*.css'):
        t = p.read_text(encoding='utf-8')
        p.write_text(re.sub(r'@import\s*url\([^)]*//[^)]*\);?', '', t), encoding='utf-8')

def lean_code(docs):
    "Neighbours of one colour are one span, and a quote is a quote: pages have less to load"
    def lean(m):
        t,n = re.sub(r'<span class="op">([^<]*)</span>', r'\1', m[0].replace('&#x27;', "'")),1 # operators as the text around them
        while n: t,n = re.subn(r'(<span class="(\w+)">[^<]*)</span><span class="\2">', r'\1', t)
        return t
    for p in docs.rglob('*.html'):
        p.write_text(re.sub(r'<pre class="sourceCode.*?</pre>', lean, p.read_text(encoding='utf-8'), flags=re.S), encoding='utf-8')

def own_tables(docs):
    "Cells that hold a number are marked, so that only text may break anywhere; a name may break after an underscore"
    def cell(m):
        tag,opts,text,whole = m.groups()
        if whole and re.fullmatch(r'[-+−]?[\d.,]+(e[-+]?\d+)?[%×]?|[-+]?\d[^<]{,20}|nan|True|False', text.strip()) and 'class=' not in opts: opts += ' class="n"'
        return f'<{tag}{opts}>'+re.sub(r'(?<=\w)_(?=\w)', '_<wbr>', text)+whole
    def table(m): return re.sub(r'<(t[hd])([^>]*)>([^<]*)(</t[hd]>|)', cell, re.sub(r'>\s+<', '><', m[0]))
    for p in docs.rglob('*.html'): p.write_text(re.sub(r'<table.*?</table>', table, p.read_text(encoding='utf-8'), flags=re.S), encoding='utf-8')

def own_sources(docs, was, repo):
    "Links to a page's source go to the notebook as the repository names it"
    def mend(m): return m[1]+was.get(m[2], m[2])+'"'
    for p in docs.rglob('*.html'):
        t = p.read_text(encoding='utf-8')
        p.write_text(re.sub(rf'({re.escape(repo)}/(?:edit|blob)/[^/"]+/nbs/)([^"]+)"', mend, t), encoding='utf-8')

def own_search(docs):
    "The index of the search as a script: a browser fetches no JSON from a file"
    js,index = docs/'site_libs'/'smalldocs.js',docs/'search.json'
    t,old = js.read_text(encoding='utf-8'),'const r = await fetch(offset + "search.json");\n      index = await r.json();'
    if old not in t: raise SystemExit('smalldocs reads its search index in another way now: see own_search in tools/docs.py')
    new = ('await new Promise((done, fail) => { const s = document.createElement("script"); s.src = offset + "search.js"; '
        's.onload = done; s.onerror = fail; document.head.append(s); });\n      index = window.searchIndex;')
    js.write_text(t.replace(old, new), encoding='utf-8')
    (docs/'search.js').write_text(f'window.searchIndex = {index.read_text(encoding="utf-8")};', encoding='utf-8')
    index.unlink()

def build(n_workers=2):
    try: from smalldocs.site import build as render
    except ImportError: raise SystemExit(f"smalldocs is not installed: `pip install -e '.[dev]'` (it needs Python 3.11 or later; this is {sys.version.split()[0]})") from None
    cfg = get_config()
    if cfg.lib_name not in {o.name for o in entry_points(group='nbdev')}:
        raise SystemExit(f"{cfg.lib_name} is not installed, so names in the text could not be linked: `pip install -e '.[dev]'`")
    refresh_quarto_yml()
    nbdev.doclinks._build_modidx()
    nbdev_sidebar.__wrapped__()
    proc = proc_nbs(n_workers=n_workers, force=True)
    site_url = f'{cfg.doc_host}{cfg.doc_baseurl}'
    with tempfile.TemporaryDirectory() as tmp:
        site = Path(tmp)/'site'
        shutil.copytree(proc, site)
        was = plain_pages(site, site_url, f'{cfg.git_url}/blob/{cfg.branch}')
        group_pages(site/'sidebar.yml', cfg.nbs_path)
        only_pages(site/'_quarto.yml', site)
        warnings = render(site, quiet=True).warnings
        shutil.rmtree(cfg.doc_path, ignore_errors=True)
        shutil.move(site/cfg.doc_path.name, cfg.doc_path)
    mend_anchors(cfg.doc_path)
    own_math(cfg.doc_path)
    own_fonts(cfg.doc_path)
    lean_code(cfg.doc_path)
    own_tables(cfg.doc_path)
    own_sources(cfg.doc_path, was, cfg.git_url)
    own_search(cfg.doc_path)
    return cfg.doc_path, [w for w in warnings if 'output-file' not in str(w)] # which plain_pages sees to

@call_parse
def main(n_workers:Param('Processes that run the imports and exports of the notebooks', int)=2):
    "Build the docs site from the notebooks, without quarto"
    path, warnings = build(n_workers)
    for w in warnings: print(f'warning: {w}')
    print(f'{len(list(path.rglob("*.html")))} pages: open {path.name}/index.html')
