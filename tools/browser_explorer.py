"""Try the explorer in a real browser: JupyterLab runs its notebook, Chromium clicks, and what the page shows is compared with what the class returns.

Not part of the tests, for it needs what the package does not: `pip install jupyterlab selenium`, and Chromium with its driver.
    python tools/browser_explorer.py                                  # the notebook, on its tiny model
    python tools/browser_explorer.py --setup mine.py --shot page.png  # mine.py makes `ex`, an Explorer; then a picture of the page"""
import contextlib, json, os, secrets, shutil, socket, subprocess, sys, tempfile, time
from pathlib import Path
from urllib.request import urlopen
from fastcore.script import call_parse, Param

root = Path(__file__).resolve().parent.parent
flags = '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync --window-size=1500,1250'.split()
final = 'ex.widgets()'

def notebook(setup):
    "The explorer's notebook up to the widgets, without outputs, or one made of a script"
    if setup: cells = [dict(cell_type='code', source=Path(setup).read_text(encoding='utf-8')), dict(cell_type='code', source=final)]
    else: cells = json.loads((root/'nbs'/'14f_explorer.ipynb').read_text(encoding='utf-8'))['cells']
    code = [dict(id=f'c{i}', cell_type='code', source=c['source'], metadata={}, outputs=[], execution_count=None) for i,c in enumerate(cells) if c['cell_type']=='code']
    at = [i for i,c in enumerate(code) if ''.join(c['source']).strip().splitlines()[-1]==final]
    if not at: raise SystemExit(f'no code cell ends in {final}: there would be nothing to click')
    return dict(cells=code[:at[0]+1], metadata=dict(kernelspec=dict(name='python3', display_name='python3', language='python')), nbformat=4, nbformat_minor=5)

@contextlib.contextmanager
def lab(folder):
    "JupyterLab on a free local port: the address of its notebook"
    with socket.socket() as s: s.bind(('127.0.0.1',0)); port = s.getsockname()[1]
    token, env = secrets.token_hex(16), os.environ | dict(PYTHONPATH=str(root), JUPYTER_CONFIG_DIR=f'{folder}/.config', JUPYTERLAB_SETTINGS_DIR=f'{folder}/.settings', JUPYTERLAB_WORKSPACES_DIR=f'{folder}/.workspaces')
    cmd = [sys.executable, '-m', 'jupyterlab', '--no-browser', '--ip=127.0.0.1', f'--port={port}', f'--IdentityProvider.token={token}', f'--ServerApp.root_dir={folder}', '--LabApp.expose_app_in_browser=True']
    quiet = Path(folder,'.settings','@jupyterlab','apputils-extension','notification.jupyterlab-settings')
    quiet.parent.mkdir(parents=True); quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    with open(f'{folder}/lab.log', 'w') as log: p = subprocess.Popen(cmd + (['--allow-root'] if os.geteuid()==0 else []), env=env, stdout=log, stderr=log, cwd=folder)
    try:
        for _ in range(120):
            if p.poll() is not None: raise SystemExit(f'JupyterLab did not start:\n{Path(folder,"lab.log").read_text()[-2000:]}')
            with contextlib.suppress(OSError): urlopen(f'http://127.0.0.1:{port}/api?token={token}', timeout=5).read(); break
            time.sleep(.5)
        yield f'http://127.0.0.1:{port}/lab/tree/explorer.ipynb?token={token}&reset'
    finally: p.terminate(); p.wait(20)

class Page:
    "The notebook in the browser"
    def __init__(self, url, chromium, driver):
        from selenium import webdriver
        o = webdriver.ChromeOptions()
        o.binary_location = chromium
        for f in flags: o.add_argument(f)
        self.d = webdriver.Chrome(o, webdriver.ChromeService(driver))
        self.d.set_script_timeout(600)
        self.d.get(url)
    def js(self, code, *args): return self.d.execute_script(code, *args)
    def wait(self, f, what, seconds=300):
        t0 = time.time()
        while time.time()-t0<seconds:
            with contextlib.suppress(Exception):
                if x := f(): return x
            time.sleep(.02)
        self.d.save_screenshot('browser_explorer_failed.png')
        raise SystemExit(f'waited {seconds} s for {what}; the page is in browser_explorer_failed.png')
    def python(self, code):
        "Run code in the notebook's kernel: the JSON on the last line that it prints"
        out = self.d.execute_async_script("""const done = arguments[1], k = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const f = k.requestExecute({code: arguments[0], store_history: false}); let s = '';
            f.onIOPub = m => { if (m.header.msg_type=='stream') s += m.content.text; if (m.header.msg_type=='error') s += '\\n' + JSON.stringify(m.content.evalue); };
            f.done.then(() => done(s));""", code)
        return json.loads(out.strip().splitlines()[-1])
    def run_all(self):
        self.wait(lambda: self.js("const w = jupyterapp.shell.currentWidget; return w && w.sessionContext && w.sessionContext.isReady && w.content.widgets.length"), 'the notebook')
        self.d.execute_async_script("const done = arguments[0]; jupyterapp.commands.execute('notebook:run-all-cells').then(() => done(1), done)")
        bad = self.js("return [...jupyterapp.shell.currentWidget.content.model.cells].flatMap(c => c.outputs ? c.outputs.toJSON() : []).filter(o => o.output_type=='error').map(o => o.ename+': '+o.evalue)")
        if bad: raise SystemExit(f'a cell of the notebook failed: {bad[0]}')
        self.js("const c = jupyterapp.shell.currentWidget.content; c.activeCellIndex = c.widgets.length-1")

watch = """
document.querySelectorAll('[role=status]').forEach(e => e.dataset.old = 1);
window.changed = new Promise(done => {
    let t0 = null;
    const start = () => { t0 = performance.now(); }, acts = ['change', 'pointerup', 'keyup', 'click'];
    acts.forEach(a => document.addEventListener(a, start, {capture: true}));
    const end = x => { acts.forEach(a => document.removeEventListener(a, start, {capture: true})); o.disconnect(); done(x); };
    const o = new MutationObserver(() => {
        const s = [...document.querySelectorAll('[role=status]')].filter(e => !e.dataset.old);
        if (s.length && s.every(e => e.textContent!='…')) requestAnimationFrame(() => end(performance.now()-t0));
    });
    o.observe(document.body, {childList: true, subtree: true, characterData: true});
    setTimeout(() => end(null), 300000);
});
"""

class Box:
    "The explorer's widgets on the page"
    def __init__(self, page):
        from selenium.webdriver.common.by import By
        self.page, self.by = page, By.XPATH
        self.settled()
    def find(self, xpath): return self.page.d.find_element(self.by, xpath)
    def control(self, label, tag): return self.find(f"//div[contains(@class,'jupyter-widgets') and label[normalize-space()='{label}']]//{tag}")
    def button(self, label): return self.find(f"//button[contains(.,'{label}')]")
    def status(self): return [e.text for e in self.page.d.find_elements(self.by, "//div[@role='status']")]
    def settled(self):
        self.page.wait(lambda: (s := self.status()) and not any('…'==x for x in s) and s, 'an answer on the page')
    def act(self, f):
        "Do something, wait for what it brings: the seconds from the last event of hand or key to the new page"
        self.page.js(watch)
        f()
        ms = self.page.d.execute_async_script("const done = arguments[0]; window.changed.then(done)")
        if ms is None: raise SystemExit(f'nothing changed on the page, which says {self.status()}')
        return ms/1000
    def choose(self, label, text):
        from selenium.webdriver.support.ui import Select
        return self.act(lambda: Select(self.control(label,'select')).select_by_visible_text(text))
    def keys(self, label, *keys):
        "Press keys on a slider"
        h = self.control(label, "div[contains(@class,'noUi-handle')]")
        return self.act(lambda: h.send_keys(*keys))
    def drag(self, label, dx):
        from selenium.webdriver import ActionChains
        h = self.control(label, "div[contains(@class,'noUi-handle')]")
        return self.act(lambda: ActionChains(self.page.d).drag_and_drop_by_offset(h, dx, 0).perform())
    def type(self, label, text, tag='textarea', leave=True):
        from selenium.webdriver import Keys
        e = self.control(label, tag)
        go = lambda: e.send_keys(Keys.CONTROL, 'a', Keys.NULL, Keys.DELETE, text, *([Keys.TAB] if leave else []))
        return self.act(go) if leave else go()
    def table(self, label):
        rows = self.page.js("return [...document.querySelectorAll(`table[aria-label='${arguments[0]}'] tr`)].map(r => [...r.children].map(c => c.textContent))", label)
        return rows
    def inputs(self):
        "What the page holds: the arguments of `look`"
        val = lambda l,tag: self.control(l, tag).get_property('value')
        num = lambda l: float(self.control(l, "div[contains(@class,'widget-readout')]").text)
        opt = lambda l: self.page.js("const s = arguments[0]; return s.options[s.selectedIndex].text", self.control(l,'select')).replace('\xa0',' ')
        return dict(text=val('Prompts','textarea'), k=int(num('K')), strength=num('Strength'), run=opt('Generator'), task='' if (t := opt('Task')).startswith('(') else t.split(' · ')[0], questions=val('Questions','textarea'))

look = """
import json as _j, dnd_nb.explorer as _e
_v = ex.look(**{args!r})
_n = lambda df: round(float((df.values**2).sum()**.5), 3)
print(_j.dumps(dict(answers=[list(_v.wide().columns)]+[['' if x is None or x!=x else str(x).replace('\\n','⏎') for x in r] for r in _v.wide().itertuples(index=False)],
    near=[r.task for r in _v.near.itertuples()], distance=[round(float(x),3) for x in _v.near.distance], line=_e.near_line(_v), norms=[_n(_v.norms), _n(_v.moved)])))
"""

def same(box):
    "Does the page show what the class returns for the same input?"
    args = box.inputs()
    want, near, imgs = box.page.python(look.format(args=args)), box.table('nearest training tasks')[1:], box.page.js("return [...document.querySelectorAll('img[alt^=norms]')].filter(i => i.naturalWidth>100).map(i => i.alt)")
    got = dict(answers=box.table('answers'), near=[r[0] for r in near], distance=[float(r[1]) for r in near], line=box.status()[0].split('; ',1)[1], norms=[float(imgs[0].split(': ')[1].split()[0]), float(imgs[0].split()[-1])])
    for k in want:
        if want[k]!=got[k]: raise SystemExit(f'{k}: the class returns\n{want[k]}\nthe page shows\n{got[k]}\nfor {args}')
    return len(want['answers'])-1

def said(box, text):
    if not any(text in s for s in box.status()): raise SystemExit(f'expected {text!r} on the page, it says {box.status()}')

def play(box, folder, log):
    "Click through everything: the seconds from each act to its result on the page"
    from selenium.webdriver import Keys
    page, took = box.page, {}
    def check(what, seconds):
        took[what] = round(seconds, 2)
        log(f'ok  {what}: {same(box)} questions, the page shows what the class returns ({seconds:.1f} s)')
    log(f'ok  as it opens: {same(box)} questions')
    tasks = [o.text for o in box.control('Task','select').find_elements(box.by,'option')]
    check('another task', box.choose('Task', tasks[2]))
    check('another batch', box.act(lambda: box.button('Another batch').click()))
    check('K by keyboard', box.keys('K', Keys.ARROW_LEFT))
    check('strength by keyboard', box.keys('Strength', Keys.ARROW_LEFT))
    check('strength dragged', box.drag('Strength', -60))
    if len(runs := [o.text for o in box.control('Generator','select').find_elements(box.by,'option')])>1: check('another generator', box.choose('Generator', runs[1]))
    check('own prompts, with markup', box.type('Prompts', '<b id=bad>bold</b>\n<script>document.title="bad"</script>'))
    check('own question, with markup', box.type('Questions', '<i id=bad>Is it?</i>'))
    if page.js("return document.querySelectorAll('#bad').length") or page.d.title=='bad': raise SystemExit('typed markup became part of the page')
    box.type('Prompts', ' '); said(box, '✗ no prompt: type at least one')
    if box.table('answers') or box.table('nearest training tasks'): raise SystemExit('after an error the page still shows answers')
    box.act(lambda: box.button('Save adapter').click()); said(box, '✗ nothing to save')
    log('ok  no prompts: one line, nothing else, nothing to save')
    check('a task again', box.choose('Task', tasks[3]))
    keep(box, folder, log)
    return took

def keep(box, folder, log):
    "Press save, and read what was written"
    args = box.inputs()
    box.type('Folder', f'{folder}/saved', 'input', leave=False); s = box.act(lambda: box.button('Save adapter').click()); said(box, 'adapter_model.safetensors (')
    code = f"import json, torch, dnd_nb.io.peft as _a\nprint(json.dumps(torch.equal(_a.load_peft({folder+'/saved'!r}).flat(), ex.look(**{args!r}).adapter.flat())))"
    if box.page.python(code) is not True: raise SystemExit('the saved adapter is not the one shown')
    wrote = next(x for x in box.status() if ': wrote ' in x).split(': wrote ')[1]
    log(f'ok  saved: {wrote}; equal to the one shown ({s:.1f} s)')
    Path(folder,'mine').mkdir(); Path(folder,'mine','thesis.tex').write_text('x')
    box.type('Folder', f'{folder}/mine', 'input', leave=False); box.act(lambda: box.button('Save adapter').click()); said(box, 'holds other things (thesis.tex)')
    if os.listdir(f'{folder}/mine')!=['thesis.tex']: raise SystemExit("a folder that is not an adapter's was touched")
    log('ok  a folder with other things is left alone')
    box.type('Folder', 'my_adapter', 'input', leave=False)

about = """
import json, os, platform, torch, transformers
print(json.dumps(dict(base_model=ex.run().spec.base_model, dtype=str(ex.model.dtype), threads=torch.get_num_threads(), cores=os.cpu_count(), load=round(os.getloadavg()[0], 1), python=platform.python_version(), torch=torch.__version__, transformers=transformers.__version__)))
"""

def shoot(box, path, first, colors=48):
    "A picture of the widgets, in few colours to be small"
    from PIL import Image
    options = lambda label: [o.text for o in box.control(label,'select').find_elements(box.by,'option')]
    if first: box.choose('Task', next(o for o in options('Task') if o.startswith(first)))
    box.choose('Generator', options('Generator')[0])
    box.page.d.set_window_size(1240, 1100)
    box.page.js("jupyterapp.commands.execute('application:toggle-left-area'); jupyterapp.commands.execute('application:set-mode', {mode:'single-document'})")
    time.sleep(2)
    out = box.find("//div[label[normalize-space()='Task']]/ancestor::div[contains(@class,'jp-OutputArea-output')]")
    box.page.js("arguments[0].scrollIntoView()", out)
    out.screenshot(path)
    Image.open(path).convert('RGB').quantize(colors).save(path, optimize=True)

@call_parse
def main(
    setup:Param('Script that makes `ex`, an Explorer; without it, the notebook', str)=None,
    shot:Param('Where to put a picture of the page', str)=None,
    times:Param('Where to write the seconds of each change, as JSON', str)=None,
    first:Param('Task to show in the picture', str)=None,
    chromium:Param('Browser', str)=shutil.which('chromium') or shutil.which('google-chrome') or '',
    driver:Param('Its driver', str)=shutil.which('chromedriver') or '',
):
    "Click through the explorer in JupyterLab and compare the page with the class"
    for what,p in (('Chromium',chromium),('chromedriver',driver)):
        if not p: raise SystemExit(f'{what} not found; install it, or say where it is')
    with tempfile.TemporaryDirectory() as folder:
        Path(folder,'explorer.ipynb').write_text(json.dumps(notebook(setup)), encoding='utf-8')
        with lab(folder) as url:
            page = Page(url, chromium, driver)
            try:
                page.run_all()
                box = Box(page)
                took = play(box, folder, print)
                if times: Path(times).write_text(json.dumps(page.python(about) | dict(seconds=took), indent=1)+'\n', encoding='utf-8')
                if shot: shoot(box, shot, first)
            finally: page.d.quit()
