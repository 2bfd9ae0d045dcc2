"""Do notebooks pass under other Pythons? Each interpreter has this package installed, with its newest dependencies. Makes
results/pythons.json, in which rows of other Pythons stay.
    python experiments/pythons.py /path/of/one/bin/python,/path/of/another/bin/python"""
import json, subprocess
from fastcore.script import call_parse
from dnd_nb.crew import this_commit
from dnd_nb.io.files import read_json, write_json
from pathlib import Path

ROOMS = ('00_adapter','02_task','io/peft','14a_use')
SAYS = """import json, platform
from importlib.metadata import version
print(json.dumps(dict(python=platform.python_version()) | {k:version(k) for k in PACKAGES}))"""
PACKAGES = ['torch','transformers','peft','accelerate','datasets','sentence-transformers','numpy','pandas']

def passes(python, room):
    "Does the test of a notebook pass?"
    code = f"from nbdev.test import nbdev_test; nbdev_test(path='nbs/{room}.ipynb', n_workers=0)"
    return subprocess.run([python, '-c', code], capture_output=True).returncode==0 # nosec: the interpreter that was named

def tried(python):
    "Versions and what passed"
    said = subprocess.run([python, '-c', SAYS.replace('PACKAGES', repr(PACKAGES))], capture_output=True, text=True, check=True)
    return json.loads(said.stdout) | {r:passes(python, r) for r in ROOMS}

@call_parse
def main(
    pythons:str, # interpreters, by commas
    out:str='results/pythons.json', # the result
):
    "Try the rooms under each"
    rows = read_json(out)['rows'] if Path(out).exists() else []
    for p in pythons.split(','):
        row = tried(p) | dict(commit=this_commit()); print(row)
        rows = sorted([r for r in rows if r['python']!=row['python']]+[row], key=lambda r: [int(x) for x in r['python'].split('.')])
        write_json(out, dict(made_by='experiments/pythons.py', device='cpu', rows=rows))
