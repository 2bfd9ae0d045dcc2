"""Which tests a machine leaves out, since a package is not there: `python tools/optional.py`, for `.ci/run`.
Notebooks ask `find_spec('package')` before they try what a user may have and this package does not need."""
import importlib.util, json, re
from pathlib import Path

def asked(folder):
    "package → notebooks that try it only where it is installed"
    res = {}
    for p in sorted(Path(folder).rglob('*.ipynb')):
        if p.stem.startswith('.'): continue
        cells = json.loads(p.read_text(encoding='utf-8'))['cells']
        for w in sorted({w for c in cells for w in re.findall(r"find_spec\('(\w+)'\)", ''.join(c['source']))}):
            res.setdefault(w, []).append(str(p.relative_to(folder).with_suffix('')))
    return res

if __name__=='__main__':
    for w,ps in asked(Path(__file__).parent.parent/'nbs').items():
        there = importlib.util.find_spec(w) is not None
        print(f'== {w}: {"tried" if there else "not installed, so not tried"} in {", ".join(ps)}')
