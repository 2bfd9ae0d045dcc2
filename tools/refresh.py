"Run notebooks as `nbdev_test` would and keep their outputs: the docs site shows saved outputs."
import base64, io, os, re, textwrap
from pathlib import Path
from PIL import Image
from execnb.nbio import read_nb, write_nb
from execnb.shell import CaptureShell
from fastcore.script import call_parse, Param
from nbdev.config import get_config

def flagged(cell, flags):
    "Is this code cell one that the tests skip?"
    ds = re.findall(r'^\s*#\|\s*(.+?)\s*$', cell.source, re.M)
    return any(d.split()[0].rstrip(':') in flags or re.match(r'eval:\s*false', d) for d in ds)

def smaller(png, few=False):
    "A PNG, as text, with a palette of few colours: a quarter of the bytes, and no difference that the eye sees"
    img,buf = Image.open(io.BytesIO(base64.b64decode(png))).convert('RGB'),io.BytesIO()
    if few: # as few as the picture has areas of a colour, where the notebook would be too large
        areas = [n for n,_ in img.getcolors(img.width*img.height) if n>img.width*img.height/500]
        img = img.quantize(8 if len(areas)<=8 else 24, Image.Quantize.FASTOCTREE)
    else: img = img.quantize(64)
    img.save(buf, 'png', optimize=True)
    res = base64.b64encode(buf.getvalue()).decode()
    return res if len(res)<len(png) else png

def folded(text, most=200, width=120):
    "Text whose lines of more than `most` characters are folded, as a terminal folds them: a page would scroll sideways"
    def fold(l): return textwrap.wrap(l, width, subsequent_indent='    ', break_on_hyphens=False) if len(l)>most else [l]
    return '\n'.join(f for l in text.split('\n') for f in fold(l))

def fold_outputs(nb):
    "Fold long lines of what cells print, and of values that are shown as text"
    for o in [o for c in nb.cells for o in c.get('outputs') or []]:
        d = o.get('data', {})
        if 'text' in o: o['text'] = folded(''.join(o['text'])).splitlines(keepends=True)
        elif d and not set(d)-{'text/plain'}: d['text/plain'] = folded(''.join(d['text/plain'])).splitlines(keepends=True)

def refresh(path, flags):
    nb, path = read_nb(path), Path(path)
    old, here = {id(c): c.get('outputs') for c in nb.cells}, os.getcwd()
    for c in nb.cells:
        if c.cell_type == 'code': c['outputs'] = [] # a cell that now shows nothing would keep what it showed
    os.chdir(path.parent)
    try:
        shell = CaptureShell(path=None)
        shell.run_all(nb, exc_stop=True, preproc=lambda c: c.cell_type != 'code' or flagged(c, flags))
    finally: os.chdir(here)
    for c in nb.cells:
        if c.cell_type == 'code' and flagged(c, flags): c['outputs'] = old[id(c)] or []
    if shell.exc: raise SystemExit(f'{path}: {shell.exc!r}')
    fold_outputs(nb)
    figures = [o['data'] for c in nb.cells for o in c.get('outputs') or [] if 'image/png' in o.get('data', {})]
    drawn = [d['image/png'] for d in figures]
    for few in (False,True):
        for d,png in zip(figures, drawn): d['image/png'] = smaller(png, few)
        write_nb(nb, path)
        if path.stat().st_size<=150_000: break

@call_parse
def main(
    paths:Param('Notebooks; all of nbs/ if none is named', str, nargs='*'),
    also:Param('Flags to run although the tests skip them (slow, gpu)', str)='',
):
    "Execute notebooks in place, as the tests do, and save their outputs"
    flags = set(get_config().tst_flags.split()) - set(also.split())
    paths = paths or sorted(p for p in Path('nbs').rglob('*.ipynb') if not p.name.startswith('_') and '.ipynb_checkpoints' not in str(p))
    for p in paths: print(p, flush=True); refresh(p, flags)
