"""Look at every page of the built site in a headless Chromium, wide and narrow: `python tools/docs.py`, then
    python tools/browser_site.py
A page is no wider than its window, no table of it scrolls in a wide window, search finds a word from a file.
Needs a Chromium; tornado, which comes with the dev requirements, speaks its debugging protocol."""
import asyncio, base64, json, shutil, tempfile, time
from pathlib import Path
from fastcore.script import call_parse, Param
from tornado.websocket import websocket_connect
from browser_explore import Page, browser

docs = Path(__file__).resolve().parent.parent/'_docs'
SIZES = {1280:2000, 1200:2000, 390:1200} # width → height of the window
LOOK = """(() => {
    const scrolls = e => { for (; e && e!==document.body; e = e.parentElement)
        if (/auto|scroll/.test(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth+1) return true; return false; };
    const wide = [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth+1 && !scrolls(e.parentElement));
    return { page: document.documentElement.scrollWidth, window: innerWidth,
        widest: wide.slice(0,2).map(e => e.tagName+'.'+e.className+' '+e.textContent.trim().slice(0,40)),
        tables: [...document.querySelectorAll('table')].filter(scrolls).map(t => t.textContent.replace(/\\s+/g,' ').trim().slice(0,60)),
        lines: Math.max(0, ...[...document.querySelectorAll('.cell-output pre')].flatMap(p => p.textContent.split('\\n').map(l => l.length))) }; })()"""
FIND = """(() => { const i = document.querySelector('#quarto-search input, input[type=search]');
    if (!i) return 'no field'; i.focus(); i.value = %s; i.dispatchEvent(new Event('input', {bubbles:true})); i.dispatchEvent(new KeyboardEvent('keyup', {bubbles:true, key:'h'})); return 'typed'; })()"""

async def resize(page, width, height): await page.call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=False)

async def open_page(page, path):
    await page.call('Page.navigate', url=path.as_uri())
    await asyncio.sleep(.05)
    await page.until(f"document.readyState=='complete' && location.pathname=={json.dumps(path.as_posix())}", path.name, 20)

async def look(ws, shots, names):
    "(what is wrong, figures of each page and width)"
    page,bad,seen = Page(await websocket_connect(ws, max_message_size=2**26)),[],[]
    for p in sorted(docs.rglob('*.html')):
        name = p.relative_to(docs).as_posix()
        if names and name not in names: continue
        await open_page(page, p)
        for width,height in SIZES.items():
            await resize(page, width, height)
            r = await page.js(LOOK)
            seen.append(dict(name=name, width=width, kb=round(p.stat().st_size/1000), **r))
            if r['page']>width: bad.append(f'{name} at {width}: {r["page"]} px wide: {r["widest"]}')
            if width==1200: bad += [f'{name} at {width}: a table scrolls: {t}' for t in r['tables']]
            if shots: (Path(shots)/f'{name.replace("/","_")}_{width}.png').write_bytes(base64.b64decode((await page.call('Page.captureScreenshot', format='png'))['data']))
    await resize(page, *next(iter(SIZES.items())))
    await open_page(page, docs/'index.html')
    typed = await page.js(FIND%json.dumps('strength'))
    await asyncio.sleep(1)
    hits = await page.js("[...document.querySelectorAll('#quarto-search a, .dropdown-menu.show a')].map(a => a.getAttribute('href')).length")
    if not hits: bad.append(f'search from a file finds nothing ({typed})')
    for scheme in ('dark','light'):
        await page.call('Emulation.setEmulatedMedia', features=[dict(name='prefers-color-scheme', value=scheme)])
        await open_page(page, docs/'index.html')
        seen.append(dict(name=f'index, {scheme}', background=await page.js("getComputedStyle(document.body).backgroundColor")))
        if shots: (Path(shots)/f'index_{scheme}.png').write_bytes(base64.b64decode((await page.call('Page.captureScreenshot', format='png'))['data']))
    if seen[-1]['background']==seen[-2]['background']: bad.append('there is no dark mode')
    return bad,seen

@call_parse
def main(
    names:Param('Pages; all if none is named', str, nargs='*'),
    chromium:Param('Browser', str)=shutil.which('chromium') or shutil.which('google-chrome') or '',
    shots:Param('A folder for a picture of each page', str)='',
    out:Param('A JSON file for the figures of each page', str)='',
):
    "Look at every page of the built site, wide and narrow"
    if not chromium: raise SystemExit('Chromium not found; install it, or say where it is')
    if not docs.exists(): raise SystemExit('_docs is missing, run tools/docs.py')
    if shots: Path(shots).mkdir(exist_ok=True, parents=True)
    t0 = time.time()
    with tempfile.TemporaryDirectory() as folder, browser(chromium, (docs/'index.html').as_uri(), folder) as ws: bad,seen = asyncio.run(look(ws, shots, names))
    if out: Path(out).write_text(json.dumps(seen, indent=1)+'\n', encoding='utf-8')
    pages = [s for s in seen if 'page' in s]
    print(*(f'FAIL {b}' for b in bad), sep='\n')
    print(f'{len(pages)} looks, {len(bad)} faults, {time.time()-t0:.0f} s')
    if bad: raise SystemExit(1)
