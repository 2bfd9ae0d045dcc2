"""Puts the JSON files of examples_tries.py together: results/examples/tries.csv.gz, a row a run, source, task and draw, and tries.json, what each run was.
    python experiments/tries_table.py OUT_FOLDER --bigbench DIR --many DIR --device TEXT --commit TEXT RUN.json …"""
import json
from pathlib import Path
import pandas as pd
from fastcore.script import call_parse, Param

@call_parse
def main(out:Param('folder to write', str), runs:Param('files of examples_tries.py', str, nargs='+'), bigbench:str='', many:str='', device:str='', commit:str=''):
    fam = {n:v['family'] for d in (bigbench,many) for n,v in json.loads((Path(d)/'families.json').read_text()).items()}
    rows,about = [],{}
    for f in runs:
        d = json.loads(Path(f).read_text()); args = Path(f).with_suffix('.args')
        about[d['name']] = dict(n_train=d.get('n_train'), steps=d.get('steps'), params=d.get('params'), options=args.read_text().strip() if args.exists() else '', device=device, commit=commit)
        group = {n:g for g,ns in d['groups'].items() for n in ns}
        rows += [(d['name'], s, group[t], t, fam[t], c, x) for s,ts in d['R'].items() for t,xs in ts.items() for c,x in enumerate(xs)]
    Path(out).mkdir(parents=True, exist_ok=True)
    new = pd.DataFrame(rows, columns=['run','source','group','task','family','draw','nats'])
    p,q = Path(out)/'tries.csv.gz',Path(out)/'tries.json'
    if p.exists(): old = pd.read_csv(p); new = pd.concat([old[~old.run.isin(about)], new])
    new.to_csv(p, index=False, compression=dict(method='gzip', mtime=0))
    q.write_text(json.dumps((json.loads(q.read_text()) if q.exists() else {}) | about, indent=1))
    print(new.groupby('run').source.nunique())
