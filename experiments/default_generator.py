"""Makes the generator that comes with the package, and judges it on tasks that it was not trained on.
    python experiments/default_generator.py OUT --many DIR --judge DIR
OUT gets generator.safetensors, generator.json and judged.json. A tenth of many's groups is kept apart: `validation` in judged.json."""
import json, random, time
from pathlib import Path
import numpy as np, torch
from fastcore.script import call_parse
from dnd_nb.adapter import LoraSpec
from dnd_nb.examples import ExamplesConfig, shuffled, tuned, write
from dnd_nb.evaluate import score
from dnd_nb.fast import engine_for
from dnd_nb.generator import save_generator
from dnd_nb.model import load_base, tiny_base
from dnd_nb.pretrain import pretrain
from dnd_nb.reader import NoReader
from dnd_nb.task import Row, encode_rows, read_tasks
from dnd_nb.tasks.builtin import builtin_tasks
import importlib.util
spec_ = importlib.util.spec_from_file_location('tries', Path(__file__).with_name('examples_tries.py'))
tries = importlib.util.module_from_spec(spec_); spec_.loader.exec_module(tries)

def judged(model, tok, gen, start, tasks, draws=2, rows=40, tokens=2**13):
    "source → task → nats a token of each draw of examples"
    J = tries.Judge(model, tok, gen.spec, tasks, rows)
    shown = {t.name: encode_rows(tok, shuffled(t)[:48], max_len=224) for t in tasks}
    dev,reader,lean = model.device,NoReader(),engine_for(model, gen.spec)
    J('base', lambda t: (J.rows[t.name], None)); J('start', lambda t: (J.rows[t.name], start.flat().to(dev)))
    for K in (1,4,16):
        for c in range(draws):
            pick = {t.name: [shown[t.name][i] for i in random.Random(f'{t.name}/{c}').sample(range(len(shown[t.name])), min(K, len(shown[t.name])))] for t in tasks}
            J(f'in_context_{K}', lambda t: (tries.in_context(tok, pick[t.name], J.rows[t.name], '\n'), None), 2)
            other = dict(zip(pick, [*list(pick.values())[7:], *list(pick.values())[:7]]))
            for name,p in ((f'generated_{K}', pick), (f'generated_{K}_other_task', other)):
                if 'other' in name and c: continue
                for i in range(0, len(tasks), 16):
                    part = tasks[i:i+16]
                    answered = torch.zeros(len(part), K, dtype=torch.bool, device=dev)
                    for j,t in enumerate(part): answered[j,:len(p[t.name])] = True
                    cond = reader.read(list(part[0].train[:1]))[torch.zeros(len(part), K, dtype=torch.long)].to(dev)
                    with torch.no_grad(): x = write(model, lean, gen, cond, answered, [p[t.name] for t in part], tok.pad_token_id, tokens)
                    for t,v in zip(part, J.nats([(J.rows[t.name], x[j:j+1]) for j,t in enumerate(part)], 16)): J.R.setdefault(name, {}).setdefault(t.name, []).append(round(v,4))
                    if K>1 and 'other' not in name:
                        from dnd_nb.adapter import Adapters
                        for src,a in ((f'generated_{K}_tuned_5', Adapters.from_flat(gen.spec, x)), *[(f'tuned_{K}_5_{r:g}', start[[0]*len(part)]) for r in (2e-3,4e-3)]):
                            ad = tuned(model, tok, a, [p[t.name] for t in part], 5, 1e-3 if 'generated' in src and K>4 else 5e-4 if 'generated' in src else float(src.split('_')[-1])).flat()
                            for t,v in zip(part, J.nats([(J.rows[t.name], ad[j:j+1]) for j,t in enumerate(part)], 16)): J.R.setdefault(src, {}).setdefault(t.name, []).append(round(v,4))
    return J.R

@call_parse
def main(out:str, many:str='', judge:str='', steps:int=500, rounds:int=5, rate:float=3e-3, tasks:int=16, rows:int=8, small:int=0, tiny:int=0, seed:int=0):
    T0 = time.time(); say = lambda *x: print(f'[{time.time()-T0:.0f}s]', *x, flush=True)
    dev = 'cuda' if torch.cuda.is_available() else 'cpu'
    model,tok = tiny_base() if tiny else load_base(device=dev)
    if dev=='cuda': model = model.to(dev, torch.bfloat16)
    spec = LoraSpec.from_model(model, targets=['q_proj','v_proj'], rank=8, alpha=16)
    groups = {k:v['group'] for k,v in json.loads((Path(many)/'families.json').read_text()).items()}
    names = sorted(set(groups.values())); apart = set(random.Random(0).sample(names, len(names)//10))
    ts = [t for t in read_tasks(many) if len(t.train)>=12]
    train = [t for t in ts if groups[t.name] not in apart] + builtin_tasks()
    val = random.Random(0).sample(v := [t for t in ts if groups[t.name] in apart], min(60, len(v)))
    held = read_tasks(judge)
    if small: train,val,held = random.Random(0).sample(train, small),val[:4],held[:4]
    say(len(train), 'training tasks,', len(val), 'validation tasks,', len(held), 'to judge')
    from dnd_nb.teacher import train_multitask
    gen,losses = pretrain(model, tok, train, spec, 50 if not small else 3, ExamplesConfig(steps=steps, tasks=tasks, rows=rows, hide=(0.,0.), max_tokens=2**13, seed=seed), progress=False, steps=rounds, rate=rate, seed=seed)
    say('trained; loss', [round(float(losses[i:i+max(1,len(losses)//5)].mean()),3) for i in range(0, len(losses), max(1,len(losses)//5))])
    save_generator(gen, out, torch.float16)
    start,_ = train_multitask(model, tok, train, spec, 50 if not small else 3, 64, 2e-3, seed, None, 224, False)
    gen = gen.to(dev)
    res = {}
    for k,t in (('validation',val),('judged',held)):
        res[k] = judged(model, tok, gen, start.to(dev), t, rows=40 if not small else 3)
        say(k, {s: round(float(np.mean([np.mean(v) for v in d.values()])),3) for s,d in res[k].items()})
        (Path(out)/'judged.json').write_text(json.dumps(dict(steps=steps, rounds=rounds, rate=rate, seed=seed, n_train=len(train), losses=losses.tolist()[::5], **res)))
    say('done')
