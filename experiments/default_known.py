"""What is known of the generator that comes with the package, for prompts without answers: how near they are, and how its start adapter fared.
    python experiments/default_known.py dnd_nb/default --many DIR [--judged judged.json]
writes nearness.safetensors, known.json, and the table of families in the card. Without --judged the figures are those of the study of examples, results/examples.
Without --many nearness.safetensors stays as it is."""
import json, random
from pathlib import Path
import numpy as np, pandas as pd
from fastcore.script import call_parse
from dnd_nb.model import load_base
from dnd_nb.near import nearness
from dnd_nb.study.pieces import tasks_of
from dnd_nb.study.report import Resampled
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

def from_study(f='results/examples/many.json'): # start adapters of the study of examples
    d = {r['source']:r for r in json.loads(Path(f).read_text())['panel'] if r['metric']=='nll'}
    return dict(nats=d['start']['mean'], base=d['base']['mean'], tasks=d['start']['n_tasks'], families=d['start']['n_families'], where=f'held-out tasks, {f}')

SOURCES = dict(base='base model', in_context_4='4 in context', generated_4='generated from 4', in_context_16='16 in context', tuned_16_10='start adapter, 10 steps on 16', generated_16_tuned_5='generated from 16, 5 steps')
def by_family(folder='results/examples'): # markdown: what the study of examples says of generators of this kind
    out = []
    for g,name in (('bigbench','BIG-bench'),('many','many')):
        r = json.loads((Path(folder)/f'{g}.json').read_text())
        rows = [dict(family=t['family'].split(':')[0]) | {s:t[s]['nll'] for s in SOURCES} for t in tasks_of(r).values()]
        d = pd.DataFrame(rows).groupby('family').agg(['mean']).droplevel(1, axis=1)
        n = pd.DataFrame(rows).family.value_counts()
        if len(d)>40: d,n = pd.DataFrame([pd.DataFrame(rows)[list(SOURCES)].mean()], index=[f'all {len(d)} families']),{f'all {len(d)} families':len(rows)}
        out += [f'| {name}: {f} ({n[f]}) | '+' | '.join(f'{v:.2f}' for v in x)+' |' for f,x in zip(d.index, d[list(SOURCES)].to_numpy())]
    return '\n'.join(['| family (tasks) | '+' | '.join(SOURCES.values())+' |', '|---'*(len(SOURCES)+1)+'|', *out])

def into_card(card, text): # between its two marks
    a,rest = card.split('<!-- study -->\n', 1); _,b = rest.split('<!-- /study -->', 1)
    return f'{a}<!-- study -->\n{text}\n<!-- /study -->{b}'

PAIRS = (('generated_4','in_context_4'), ('generated_16','in_context_16'), ('generated_16_tuned_5','in_context_16'))
def itself(f): # what judge_default.py says of the very generator
    got = json.loads(Path(f).read_text())
    def figure(s): return pd.DataFrame({(-1,-1): pd.Series({n:t['sources'][s]['nll'] for n,t in got.items()})}).rename_axis(columns=['seed','draw'])
    names = dict(base='base model', learned_start='start adapter', in_context_4='4 in context', generated_4='generated from 4', in_context_16='16 in context', generated_16='generated from 16', generated_16_tuned_5='generated from 16, 5 steps')
    fig = {s: figure(s) for s in names}
    rs = Resampled(dict(nll=fig), {n:t['family'] for n,t in got.items()})
    rows = [f'| {l} | {float(fig[s].mean().iloc[0]):.2f} |' for s,l in names.items()]
    rows += [f'| {names[a]}, against {names[b]} | {d["mean"]:+.2f} [{d["lo"]:+.2f}, {d["hi"]:+.2f}] |' for a,b in PAIRS for d in [rs.difference(a, b)]]
    head = (f'This very generator was judged on {len(got)} tasks of BIG-bench, one of each family: 12 rows each, one draw of examples (`experiments/judge_default.py`). '
        'No task of BIG-bench was trained on; relatives of most were, in *many*. Brackets hold 95% intervals, with families resampled.')
    return '\n'.join([head, '', '| this generator, BIG-bench | nats a token |', '|---|---|', *rows])

@call_parse
def main(out:str, many:str='', judged:str=''):
    if many:
        model,tok = load_base()
        near = nearness(model, tok, {t.name:[e.prompt for e in t.train] for t in training_tasks(many)})
        near.save(Path(out)/'nearness.safetensors')
    known = dict(start=from_judged(judged) if judged else from_study())
    (Path(out)/'known.json').write_text(json.dumps(known, indent=1)+'\n')
    card = Path(out)/'README.md'
    own = Path('results/default_judged.json')
    card.write_text(into_card(card.read_text(), '\n\n'.join([by_family(), *([itself(own)] if own.exists() else [])])))
    print(known)
