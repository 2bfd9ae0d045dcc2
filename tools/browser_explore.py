"""Click through the page of `dnd_explore` in a headless Chromium, with a tiny base model and nothing fetched; compare it with the workbench.
    python tools/browser_explore.py
Needs the extra [explore] and a Chromium; tornado, which comes with the dev requirements, speaks its debugging protocol."""
import asyncio, contextlib, json, os, shutil, socket, subprocess, sys, tempfile, time
from pathlib import Path
from urllib.request import urlopen
os.environ.setdefault('GRADIO_ANALYTICS_ENABLED', 'False')
import torch
from fastcore.script import call_parse, Param
from tornado.websocket import websocket_connect

def bench_and_rows():
    "A workbench with a tiny generator and the nearness of its tasks"
    from dnd_nb.adapter import LoraSpec
    from dnd_nb.examples import ExamplesConfig
    from dnd_nb.model import tiny_base
    from dnd_nb.near import nearness
    from dnd_nb.pretrain import pretrain
    from dnd_nb.tasks.builtin import builtin_tasks
    from dnd_nb.workbench import Workbench
    torch.set_num_threads(1)
    model,tok = tiny_base()
    tasks = builtin_tasks(['add','double','odd_even','larger'], n_train=40)
    quick = ExamplesConfig(steps=10, tasks=4, rows=4, k=(2,8), lr=5e-3, hide=(0.,0.))
    gen,_ = pretrain(model, tok, tasks, LoraSpec.from_model(model, targets=['q_proj','v_proj'], rank=4), 10, quick, steps=3, rate=1e-2, progress=False)
    return Workbench(model, tok, dict(mine=gen), dict(mine=nearness(model, tok, {t.name:t.prompts for t in tasks}))), tasks[2]

@contextlib.contextmanager
def browser(chromium, url, folder):
    "A headless Chromium on that page: the address of its debugger"
    with socket.socket() as s: s.bind(('127.0.0.1',0)); port = s.getsockname()[1]
    p = subprocess.Popen([chromium,'--headless','--no-sandbox','--disable-gpu','--disable-dev-shm-usage',f'--remote-debugging-port={port}',f'--user-data-dir={folder}/profile','--remote-allow-origins=*','--window-size=1300,1400',url],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                pages = [t for t in json.loads(urlopen(f'http://127.0.0.1:{port}/json', timeout=5).read()) if t['type']=='page' and url.rstrip('/') in t['url']]
                if pages: yield pages[0]['webSocketDebuggerUrl']; break
            time.sleep(.1)
        else: raise SystemExit(f'{chromium} did not open {url}')
    finally: p.terminate(); p.wait(20)

class Page:
    "The page through the debugger"
    def __init__(self, ws): self.ws,self.n = ws,0
    async def call(self, method, **params):
        self.n += 1
        await self.ws.write_message(json.dumps(dict(id=self.n, method=method, params=params)))
        while True:
            m = json.loads(await asyncio.wait_for(self.ws.read_message(), 60))
            if m.get('id')==self.n: return m.get('result', {})
    async def js(self, code):
        r = await self.call('Runtime.evaluate', expression=code, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in r: raise SystemExit(f'{code[:80]}: {r["exceptionDetails"]}')
        return r['result'].get('value')
    async def until(self, code, what, seconds=60):
        t0 = time.time()
        while time.time()-t0<seconds:
            if v := await self.js(code): return v
            await asyncio.sleep(.05)
        raise SystemExit(f'waited {seconds} s for {what}; the page says: {(await self.js("document.body.innerText"))[:600]}')
    async def fill(self, id, text):
        await self.js(f"""(() => {{ const e = document.querySelector('#{id} textarea, #{id} input');
            Object.getOwnPropertyDescriptor(Object.getPrototypeOf(e), 'value').set.call(e, {json.dumps(text)}); e.dispatchEvent(new Event('input', {{bubbles:true}})); }})()""")
        await asyncio.sleep(.3)
    async def click(self, id): await self.js(f"document.querySelector('#{id}').tagName=='BUTTON' ? document.querySelector('#{id}').click() : document.querySelector('#{id} button').click()")
    async def table(self): return await self.js("[...document.querySelectorAll('#answers table tr')].map(r => [...r.children].map(c => c.textContent))")
    async def level(self): return await self.js("(document.querySelector('#status [role=status]') || {dataset:{}}).dataset.level || ''")
    async def status(self): return await self.js("document.querySelector('#status').innerText")

def check(ok, what):
    if not ok: raise SystemExit(f'FAIL {what}')
    print(f'ok  {what}', flush=True)

async def play(ws_url, bench, task, folder):
    "Everything a user does, and what the page then shows"
    from dnd_nb.workbench import side_by_side
    page = Page(await websocket_connect(ws_url, max_message_size=2**26))
    done = "document.querySelectorAll('#answers table tr:first-child th').length==%d"
    await page.until(done%5, 'the first look')
    examples,qs = task.train[:4],[e.prompt for e in task.test[:2]]
    df = side_by_side(qs, list(bench.look(examples, qs, 5)))
    check(await page.table()==[list(df.columns), *df.values.tolist()], 'the page shows what the workbench returns, four ways side by side')
    check('training task' in await page.status() or 'unlike' in await page.status(), 'nearness is said')
    await page.fill('questions', 'Is 7 odd or even?')
    t0 = time.time(); await page.click('look')
    await page.until("(document.querySelector('#answers table') || {innerText:''}).innerText.includes('Is 7 odd')", 'answers to another question')
    print(f'    another question: first column after {time.time()-t0:.1f} s', flush=True)
    await page.until(done%5, 'all columns')
    await page.fill('paste', 'zqx vvk jpw\tkk\nxjw qkz pvb\tqq\nvzk qxj\tkk\nkkr bvz\tqq'); await page.click('take')
    await page.until("document.querySelector('#examples').innerText.includes('zqx')", 'pasted rows in the table')
    await page.until("document.querySelector('#status').innerText.includes('unlike') || document.querySelector('#status').innerText.includes('surprise')", 'gibberish to be called far')
    check(await page.level()=='far', 'gibberish is amber, not green')
    await page.until(done%5, 'all columns')
    await page.fill('paste', '\n'.join(e.prompt for e in task.train[:4])); await page.click('take')
    await page.until("document.querySelector('#status').innerText.includes('no answers')", 'prompts without answers')
    check(await page.level()=='ignored', 'prompts without answers are red: they change nothing')
    await page.fill('paste', '\n'.join(f'{e.prompt}\t{e.answer}' for e in task.train[:16])); await page.click('take')
    await page.until("document.querySelector('#status').innerText.includes('✓')", 'near examples', 30)
    check(await page.level()=='near', 'examples of a training task are green')
    await page.until(done%5, 'all columns')
    await page.fill('folder', f'{folder}/kept'); await page.click('save')
    await page.until("document.querySelector('#saved').innerText.includes('written')", 'the adapter to be saved')
    check((Path(folder)/'kept'/'adapter_model.safetensors').exists(), 'the adapter is on disk')
    await page.click('decide')
    await page.until("document.querySelector('#decision').innerText.includes('nats a token')", 'the decision')
    check('in context' in await page.js("document.querySelector('#decision').innerText"), 'the decision compares the ways')
    await page.fill('questions', ''); await page.click('look')
    await page.until("document.querySelector('#status').innerText.includes('no questions')", 'an error in words')
    check(await page.level()=='ignored', 'an empty question is one red line')
    return page

@call_parse
def main(
    chromium:Param('Browser', str)=shutil.which('chromium') or shutil.which('google-chrome') or '',
    shot:Param('Where to put a picture of the page', str)='',
):
    "Click through dnd_explore"
    if not chromium: raise SystemExit('Chromium not found; install it, or say where it is')
    from dnd_nb.explore import page, serve
    t0 = time.time()
    with tempfile.TemporaryDirectory() as folder:
        bench,task = bench_and_rows()
        app = page(bench, task.train[:4], [e.prompt for e in task.test[:2]])
        url = serve(app, browser=False, block=False)
        with browser(chromium, url, folder) as ws:
            async def go():
                p = await play(ws, bench, task, folder)
                if shot:
                    import base64
                    Path(shot).write_bytes(base64.b64decode((await p.call('Page.captureScreenshot', format='png'))['data']))
            asyncio.run(go())
        app.close()
    print(f'all seen in {time.time()-t0:.0f} s')
    os._exit(0) # the server's threads may linger
