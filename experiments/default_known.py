"""What is known of the generator that comes with the package, for prompts without answers: how near they are, and how its start adapter fared.
    python experiments/default_known.py dnd_nb/default --many DIR [--judged judged.json]
writes nearness.safetensors and known.json. Without --judged the figures are those of the first runs, results/examples."""
import json, random
from pathlib import Path
import numpy as np, pandas as pd
from fastcore.script import call_parse
from dnd_nb.model import load_base
from dnd_nb.near import nearness
from dnd_nb.task import read_tasks
from dnd_nb.tasks.builtin import builtin_tasks

def training_tasks(many): # as experiments/default_generator.py chooses them
    groups = {k:v['group'] for k,v in json.loads((Path(many)/'families.json').read_text()).items()}
    names = sorted(set(groups.values())); apart = set(random.Random(0).sample(names, len(names)//10))
    return [t for t in read_tasks(many) if len(t.train)>=12 and groups[t.name] not in apart] + list(builtin_tasks())

def from_judged(f): # judged.json of default_generator.py
    d = json.loads(Path(f).read_text())['judged']
    mean = lambda s: round(float(np.mean([np.mean(v) for v in d[s].values()])),4)
    return dict(nats=mean('start'), base=mean('base'), tasks=len(d['base']), families=len(d['base']), where='held-out tasks of default_generator.py')

def from_tries(): # the first runs
    d = pd.read_csv('results/examples/tries.csv.gz').query("run=='rivals' and group=='many'")
    mean = lambda s: round(float(d[d.source==s].groupby('task').nats.mean().mean()),4)
    return dict(nats=mean('start'), base=mean('base'), tasks=int(d.task.nunique()), families=int(d.family.nunique()), where='validation tasks, results/examples')

@call_parse
def main(out:str, many:str='', judged:str=''):
    model,tok = load_base()
    near = nearness(model, tok, {t.name:[e.prompt for e in t.train] for t in training_tasks(many)})
    near.save(Path(out)/'nearness.safetensors')
    known = dict(start=from_judged(judged) if judged else from_tries())
    (Path(out)/'known.json').write_text(json.dumps(known, indent=1)+'\n')
    print(near, known)
