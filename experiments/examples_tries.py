"""Tries of how a generator should read examples. One fold's tasks validate, one more is never read; see experiments/README.md.
    python experiments/examples_tries.py NAME OUT.json --bigbench DIR --many DIR [--context 8] …
What did not help (families apart that teach the rates, other directions of a round, training through fine-tuning, a slower network) is no option any more; the commit of each run is in `results/examples/tries.json`.
Prints a table of mean nats a token on the validation fold; `results/examples/tries.csv` is put together from the JSON files."""
import json, random, time
from pathlib import Path
import numpy as np, torch
from fastcore.script import call_parse
from dnd_nb.adapter import Adapters, LoraSpec
from dnd_nb.examples import ExampleBank, ExamplesConfig, ExampleTrainer, shuffled, stack, tuned, write
from dnd_nb.fast import engine_for, pack
from dnd_nb.generators.layers import LayerGenerator
from dnd_nb.generators.refine import RefiningGenerator
from dnd_nb.model import load_base, tiny_base
from dnd_nb.reader import BaseReader, Features, Reader
from dnd_nb.task import Example, Row, Task, encode_rows, read_tasks
from dnd_nb.teacher import AdapterTrainer, TeacherConfig

T0 = time.time()
SEVEN = ['q_proj','k_proj','v_proj','o_proj','gate_proj','up_proj','down_proj']
FORMATS = ('{a}.', '"{a}"', '[{a}]', 'Answer: {a}', '{{"answer": "{a}"}}', '<{a}>', '{a}!', '- {a}', '({a})', '{a} .')

def changed(task, seed):
    "A task made from another: its choices permuted, or its answers written in another form"
    rng = random.Random(f'{task.name}/{seed}')
    sets = {tuple(sorted(e.choices)) if e.choices else None for e in [*task.train, *task.test]}
    if len(sets)==1 and None not in sets and len(next(iter(sets)))<=12 and rng.random()<.7:
        old = list(next(iter(sets))); new = rng.sample(old, len(old))
        while new==old: new = rng.sample(old, len(old))
        to = dict(zip(old, new)); f = to.__getitem__
    else:
        form = rng.choice(FORMATS); up = rng.random()<.3
        f = lambda a: form.format(a=a.upper() if up else a)
    move = lambda e: Example(e.prompt, f(e.answer), [f(c) for c in e.choices] if e.choices and len({f(c) for c in e.choices})==len(e.choices) else None)
    return Task(f'{task.name}~{seed}', task.family, [move(e) for e in task.train], [move(e) for e in task.test], task.fold)

class Blind(Reader):
    "Sees of an example only whether it is answered"
    name,width,cut = 'blind',(1,0,0),(1,0)
    def read(self, examples, device=None):
        n = len(examples)
        return Features(torch.randn(n,1, device=device), torch.zeros(n,0,0, device=device), torch.ones(n, dtype=torch.bool, device=device), self.cut)

class Judge:
    "Mean nats a token of test rows under adapters"
    def __init__(self, model, tok, spec, tasks, rows=24):
        self.model,self.tok,self.lean,self.tasks = model,tok,engine_for(model, spec, 'lean'),tasks
        self.rows = {t.name: encode_rows(tok, t.test[:rows], max_len=256) for t in tasks}
        self.R = {}
    @torch.no_grad()
    def nats(self, jobs, group): # [(rows, flat [1, P] or None)]
        res = []
        for c in range(0, len(jobs), group):
            g = jobs[c:c+group]; flat = [r for rs,_ in g for r in rs]
            own = [0 if g[0][1] is None else k for k,(rs,_) in enumerate(g) for _ in rs]
            x = None if g[0][1] is None else torch.cat([x for _,x in g]).float()
            v = self.lean.judge(pack(flat, own, device=self.model.device, backward=False), x)[0].tolist()
            for rs,_ in g: n = len(rs); res.append(sum(v[:n])/sum(r.n_answer for r in rs)); v = v[n:]
        return res
    def __call__(self, source, make, group=16):
        for t,v in zip(self.tasks, self.nats([make(t) for t in self.tasks], group)): self.R.setdefault(source, {}).setdefault(t.name, []).append(round(v,4))
    def table(self, groups):
        print('source'.ljust(28), *[k.rjust(9) for k in groups])
        for s,d in self.R.items(): print(s.ljust(28), *[f'{np.mean([np.mean(d[n]) for n in ns]):9.3f}' for ns in groups.values()], flush=True)

def in_context(tok, shown, rows, gap):
    "Rows with closed examples before them"
    g = tok(gap, add_special_tokens=False).input_ids
    head = [t for r in shown for t in [*r.ids, *g]]
    return [Row(head[-(3000-len(r.ids)):]+r.ids, len(head[-(3000-len(r.ids)):])+r.n_prompt) for r in rows]

@call_parse
def main(name:str, out:str, bigbench:str='', many:str='', minutes:float=8., fold:int=0, val:int=1,
    context:int=0, start:int=50, hidden:int=384, factor:int=0, rounds:int=1, mix:str='mean', noise:float=.5, decay:float=.1, lr:float=2e-3,
    pairs:int=32, rows:int=4, pool:int=48, steps:int=2400, targets:str='q_proj,v_proj', rank:int=8, augment:int=0, kmax:int=16, refine:int=0, network:int=1, rate:float=2e-3, drop:float=.1,
    marks:str='.25,.5,.75', hide:float=.1, rivals:int=0, only:str='', small:int=0, seed:int=0, tokens:int=2**13, tiny:int=0):
    say = lambda *x: print(f'[{time.time()-T0:.0f}s {name}]', *x, flush=True)
    dev = 'cuda' if torch.cuda.is_available() else 'cpu'
    model,tok = tiny_base() if tiny else load_base(device=dev)
    if tiny: model = model.to(dev)
    model = model.to(torch.bfloat16) if dev=='cuda' else model
    spec = LoraSpec.from_model(model, targets=SEVEN if targets=='all' else targets.split(','), rank=rank, alpha=2*rank)
    bb,mn = read_tasks(bigbench),read_tasks(many)
    used = [t for t in [*bb,*mn] if t.fold not in (fold,val) and len(t.train)>=12]
    fam = {}
    for t in mn:
        if t.fold==val: fam.setdefault(t.family, t)
    vals = [t for t in bb if t.fold==val], random.Random(0).sample(list(fam.values()), min(60, len(fam)))
    if small: used,vals = random.Random(0).sample(used, small),tuple(v[:3] for v in vals)
    base_tasks = used
    if augment: used = used + [changed(t, s) for t in used for s in range(augment)]
    vtasks = [*vals[0], *vals[1]]
    groups = dict(bigbench=[t.name for t in vals[0]], many=[t.name for t in vals[1]])
    say(len(used), 'training tasks', {k:len(v) for k,v in groups.items()}, spec)
    # the start adapter
    mixed = [r for ts in [[encode_rows(tok, shuffled(t)[:120], max_len=224) for t in base_tasks]] for i in range(120) for r in [q[i] for q in ts if len(q)>i]]
    def multitask(n, lr=2e-3):
        tr = AdapterTrainer(model, spec, [mixed], TeacherConfig(steps=n, rows=64, lr=lr, max_tokens=tokens), ['multitask'], tok.pad_token_id)
        for _ in range(n): tr.one_step()
        return tr.adapters.to('cpu')
    start_ad = multitask(max(2, start)); say('start adapter')
    J = Judge(model, tok, spec, vtasks, 3 if small else 24)
    shown_rows = {t.name: shuffled(t)[:pool] for t in vtasks}
    pick = lambda t,k,c: random.Random(f'{t.name}/{c}').sample(range(len(shown_rows[t.name])), min(k, len(shown_rows[t.name])))
    enc = {t.name: encode_rows(tok, shown_rows[t.name], max_len=224) for t in vtasks}
    if rivals:
        J('base', lambda t: (J.rows[t.name], None)); J('start', lambda t: (J.rows[t.name], start_ad.flat().to(dev)))
        multi = {n: multitask(2 if small else n) for n in (150,400,1000)}
        for n,m in multi.items(): J(f'multitask {n}', lambda t: (J.rows[t.name], m.flat().to(dev)))
        for gap in ('\n','\n\n'):
            for k in (1,4,16): J(f'{k} in context {gap!r}', lambda t: (in_context(tok, [enc[t.name][i] for i in pick(t,k,0)], J.rows[t.name], gap), None), 2)
        for k in (4,16): J(f'{k} in context, multitask 400', lambda t: (in_context(tok, [enc[t.name][i] for i in pick(t,k,0)], J.rows[t.name], '\n'), multi[400].flat().to(dev)), 2)
        J('4 of another task in context', lambda t: (in_context(tok, [enc[o][i] for o in [vtasks[(vtasks.index(t)+7)%len(vtasks)].name] for i in range(4)], J.rows[t.name], '\n'), None), 2)
        for k in (4,16):
            for r in (2.5e-4,5e-4,1e-3,2e-3,4e-3):
                for nm,s in (('start',start_ad),('multitask 400',multi[400])):
                    for i in range(0, len(vtasks), 45):
                        part = vtasks[i:i+45]
                        for S in (5,10,20):
                            ad = tuned(model, tok, s[[0]*len(part)], [[enc[t.name][j] for j in pick(t,k,0)] for t in part], S, r).flat()
                            for t,v in zip(part, J.nats([(J.rows[t.name], ad[j:j+1]) for j,t in enumerate(part)], 16)): J.R.setdefault(f'{nm} tuned {k} {S} {r:g}', {}).setdefault(t.name, []).append(round(v,4))
        say('rivals'); J.table(groups)
        json.dump(dict(name=name, groups=groups, R=J.R), open(out,'w'))
        return
    # reading
    t1 = time.time()
    reader = BaseReader(model, tok, max_len=224, max_tokens=2**13 if dev=='cuda' else None) if network else Blind()
    bank = ExampleBank(reader, [*used, *vtasks], pool=pool, sequences=context, length=16, device=dev); say('read', bank, f'{len(bank.features)/(time.time()-t1):.0f} examples/s with all')
    cut = reader.cut
    if only: # parts of the base's features that are left out
        d,f = reader.d,bank.features
        for part,at in dict(prompt=(0,), last=(1,), state=(2,), gradient=(3,)).items():
            if part not in only.split(','):
                for a in at: f.layers[...,a*d:(a+1)*d] = 0
    kw = dict(hidden=hidden, factor=factor or None, rounds=rounds, mix=mix, noise=noise, drop=drop, seed=seed)
    gen = RefiningGenerator(spec, bank.width, cut, steps=refine, rate=rate, network=bool(network), alone=True, **kw) if refine else LayerGenerator(spec, bank.width, cut, **kw)
    torch.manual_seed(seed)
    rng = random.Random(1)
    some = [bank.draw(rng.choice(used).name, 4, rng)[0] for _ in range(1200)]
    gen.set_stats(Features.cat(some)); gen.set_base(start_ad)
    cfg = ExamplesConfig(steps=steps, tasks=pairs, rows=rows, lr=lr, weight_decay=decay, k=(1,kmax), hide=(hide,0. if not network else .1), seed=seed, max_tokens=tokens)
    tr = ExampleTrainer(model, tok, gen, used, bank, cfg); say(gen)
    end = 60*minutes-75*(dev=='cuda')
    def evaluate(tag, full=False):
        if dev=='cuda': torch.cuda.empty_cache()
        g = tr.averaged
        n = len(vtasks)
        for K in (1,4,16) if full else (4,16):
            for c in range(2 if full else 1):
                ixs = [bank.orders[t.name][c][:K] if context else pick(t, K, c) for t in vtasks]
                conds = [bank.draw_fixed(t.name, c, K) if context else bank.features[torch.tensor(ix)+int(bank.first[t.name])] for t,ix in zip(vtasks,ixs)]
                sh = [[enc[t.name][j] for j in ix] for t,ix in zip(vtasks,ixs)]
                def flats(cs, rs): 
                    with torch.no_grad(): return torch.cat([write(model, tr.lean, g, *stack(cs[i:i+8]), rs[i:i+8], tok.pad_token_id, tokens) for i in range(0, n, 8)])
                f,turn = flats(conds, sh), lambda l: l[7:]+l[:7]
                kinds = {f'generated {K}': f}
                if full and c==0:
                    hid = [q.without_answers(torch.ones_like(q.answered)) for q in conds]
                    kinds |= {f'generated {K} other task': flats(turn(conds), turn(sh)), f'generated {K} prompts': flats(hid, [[]]*n), f'prompts {K} other task': flats(turn(hid), [[]]*n)}
                for k,x in kinds.items(): J(f'{tag} {k}', lambda t: (J.rows[t.name], x[vtasks.index(t)][None]))
                if full and c==0 and K>1:
                    for r in (2.5e-4,5e-4,1e-3):
                        for i in range(0, n, 45):
                            part = vtasks[i:i+45]
                            ad = tuned(model, tok, Adapters.from_flat(spec, f[i:i+45]), sh[i:i+45], 5, r).flat()
                            for t,v in zip(part, J.nats([(J.rows[t.name], ad[j:j+1]) for j,t in enumerate(part)], 16)): J.R.setdefault(f'{tag} generated {K} tuned 5 {r:g}', {}).setdefault(t.name, []).append(round(v,4))
        json.dump(dict(name=name, n_train=len(used), steps=tr.step, groups=groups, params=gen.n_params, R=J.R), open(out,'w'))
    t2,losses,marks = time.time(),[],[float(m) for m in marks.split(',') if m]
    while tr.step<cfg.steps:
        if tr.step==40: t2 = time.time()
        if tr.step==140:
            fit = int(40+(end-(t2-T0))/((time.time()-t2)/100))
            cfg.steps = min(cfg.steps, max(160, fit)); say(f'{(time.time()-t2)*10:.0f} ms a step; {cfg.steps} steps')
        losses.append(tr.one_step())
        if marks and tr.step>=marks[0]*cfg.steps: evaluate(f'at {marks.pop(0)}')
        if tr.step%200==0: say('step', tr.step, 'loss', round(float(torch.stack(losses[-100:]).mean()),3))
        if time.time()-T0>end+30: break
    say('trained', tr.step, 'steps')
    if refine: say('rates of rounds, A and B, times', [[round(float(v),2) for v in gen.log_rate[:,i::2].mean(1).exp()] for i in (0,1)], 'by count', round(float(gen.by_count.mean()),3), 'of values', round(float(gen.log_scale.mean()),3))
    evaluate('end', True)
    J.table(groups)
    json.dump(dict(name=name, n_train=len(used), steps=tr.step, loss=torch.stack(losses).cpu().tolist()[::10], groups=groups, params=gen.n_params, R=J.R), open(out,'w'))
    say('done')
