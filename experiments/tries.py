"""What does best on unrelated tasks without training anything more: multi-task LoRAs, teachers, and their averages in ΔW, at several strengths.

    python experiments/tries.py --data ../shared/data/bigbench --work runs/tries --out results/zero_shot_tries.csv

Tasks with short prompts; those of one fold are validated on, those of another are not looked at, the rest is trained on. Adapters on the upper half of the
layers, so that two CPU cores can do it; resumable. A row a source: NLL and accuracy, means over tasks, the paired difference in NLL from one multi-task LoRA
with its 95% interval, and the task that loses most. With --tuning every second of the judged tasks is fine-tuned from nothing and from the best average, at
several learning rates, with more rows a step, with a longer A, with a falling rate, and with the last iterates averaged: a row each, with the paired difference from fifty steps from nothing. With --generator
generators that correct the best average are trained in several ways, for 60 steps or 240, and judged on training tasks' test rows and on the judged tasks: a
row a way and strength. With --soup averages are chosen on some families of the judged tasks and measured on the others, under several rules: a row a rule."""
import random
from dataclasses import replace
from itertools import combinations
from pathlib import Path
import numpy as np, pandas as pd, torch
import torch.nn.functional as F
from fastcore.script import call_parse
from dnd_nb.adapter import Adapters, apply_adapters, regauged, truncate
from dnd_nb.io.peft import load_peft, save_peft
from dnd_nb.dataset import prompt_batches
from dnd_nb.demo import fastest_threads, upper_spec
from dnd_nb.strength import pooled
from dnd_nb.encoder import PromptCache, make_encoder
from dnd_nb.evaluate import paired, run_panel, summarise
from dnd_nb.model import load_base
from dnd_nb.strength import centres, follow, standardise
from dnd_nb.study.rivals import averaged, mixture
from dnd_nb.study.tuning import SteadyConfig, fine_tuned
from dnd_nb.task import Template, encode_rows, read_tasks
from dnd_nb.teacher import TeacherConfig
from dnd_nb.collect import train_teachers
from dnd_nb.train import Stage, TrainConfig, Trainer, train_multitask

def per_task(df): # task × source: nats a token
    g = df.groupby(['source','task'], sort=False)[['nll','tokens']].sum()
    return (g.nll/g.tokens).unstack(0)

_steady = [(s,8,None,lr,(5,10,20,50)) for s in ('zero','average') for lr in (2e-3,5e-3,1e-2)] + [('zero',8,4.,2e-3,(10,20,50)), ('zero',32,None,2e-3,(10,20,50)), ('zero',32,None,1e-3,(50,)), ('average',8,4.,5e-3,(5,10,20)),
    ('average',32,None,5e-3,(5,10,20)), ('average',32,4.,5e-3,(5,10,20))]
TUNED = [(*t,'constant',False) for t in _steady] + [('average',32,4.,8e-3,(7,8,9,10),'constant',True), ('average',32,4.,8e-3,(10,),'cosine',False), ('average',64,4.,8e-3,(10,),'cosine',False), ('average',32,16.,5e-3,(10,),'cosine',False),
    ('zero',8,None,2e-3,(38,44,50),'constant',True), ('zero',8,None,4e-3,(50,),'cosine',False)] # where from, rows a step, length of A's rows (see `regauged`), learning rate, when to look, how the rate goes, and whether only the mean of these looks is judged
RATES = dict(constant=SteadyConfig, cosine=TeacherConfig)

def tuned(model, tok, tasks, starts, max_tokens, seed, ref=('zero',8,None,2e-3,50,'constant',1)):
    "Loss of fine-tuned adapters, and the paired difference from `ref`: a row a start, rows a step, length of A, rate, number of steps, schedule and iterates averaged"
    rows,at,got,dfs = [encode_rows(tok, t.train, Template(), 256) for t in tasks],{t.name:i for i,t in enumerate(tasks)},{},[]
    def judge(ad, key):
        df = run_panel(model, tok, tasks, {str(key):lambda t: ad[at[t.name]]}, n_rows=len(tasks[0].test), max_tokens=max_tokens)
        got[key] = per_task(df)[str(key)].mean(); dfs.append(df); print(key, round(got[key], 4), flush=True)
    for name,start in starts.items(): judge(start[[0]*len(tasks)], (name,0,None,0.,0,'',0))
    for name,n,size,lr,steps,schedule,mean in TUNED:
        start = starts[name] if size is None else regauged(starts[name], size)
        cfg = RATES[schedule](steps=max(steps), rows=n, lr=lr, max_len=256, max_tokens=max_tokens)
        made = fine_tuned(model, start[[0]*len(tasks)], rows, list(at), cfg, steps, tok.pad_token_id)
        if mean: made = {max(steps):Adapters.from_flat(start.spec, torch.stack([a.flat() for a in made.values()]).mean(0))}
        for k,ad in made.items(): judge(ad, (name,n,size,lr,k,schedule,len(steps) if mean else 1))
    diff = paired(pd.concat(dfs, ignore_index=True), [(str(k),str(ref)) for k in got if k!=ref], ['nll'], seed=seed).set_index('a')[['mean','lo','hi']].rename(columns=dict(mean='minus_fifty'))
    return pd.DataFrame([dict(zip(('start','rows','size','lr','steps','schedule','averaged'), k), nll=v) | (diff.loc[str(k)].to_dict() if k!=ref else {}) for k,v in got.items()]).assign(tasks=len(tasks)).round(4)

WAYS = {'sft, rate 3e-4':(0,3e-4,60), 'sft, rate 1e-3':(0,1e-3,60), 'sft, rate 3e-3':(0,3e-3,60), '300 reconstruction steps, then sft, rate 3e-4':(300,3e-4,60),
    'four times the steps, rate 1e-3':(0,1e-3,240), 'four times the steps, rate 3e-3':(0,3e-3,240)}

def ways(model, tok, zoo, cache, train, val, base, work, last, max_tokens):
    "Loss with generators that were trained in different ways: a row a way and strength"
    seen,res = [replace(t, test=t.test[:24]) for t in random.Random(1).sample(train, 16)],[]
    made = {t.name:prompt_batches(t.prompts, 16, 2, t.name) for t in seen+val}
    def judge(way, s, source):
        n = per_task(run_panel(model, tok, seen+val, {'x':source}, n_rows=24, max_tokens=max_tokens)).x
        a = n.index.isin({t.name for t in seen})
        res.append(dict(way=way, strength=s, seen=n[a].mean(), held_out=n[~a].mean())); print(res[-1], flush=True)
    judge("the task's own teacher", 1., lambda t: zoo.adapters([last[t.name]])); judge('what is corrected', 0., lambda t: base)
    for way,(recon,lr,steps) in WAYS.items():
        stages = (Stage('reconstruction', recon, {'weight:z':1.}, 1e-3, batch=32),)*(recon>0) + (Stage('sft', steps, {'sft':1.}, lr, batch=16, rows=4),)
        cfg = TrainConfig(stages, dict(kind='MLPGenerator', hidden=256, noise=.3, cond_drop=.1, zero_start=True), 'given', (2,32), max_len=96, val_every=10**6, val_rows=2, strengths=(1.,), familiar=True)
        run = Trainer(cfg, work/'ways'/f'{recon}_{lr:g}_{steps}', zoo.only({t.name for t in train}), cache, [*train,val[0]], [val[0].name], model, tok, base).fit(progress=False)
        for s in (.5,1.): judge(way, s, lambda t: follow(base, run.generate(cache, made[t.name], 1.), torch.full((2,), s)))
    return pd.DataFrame(res).assign(seen_tasks=len(seen), held_out_tasks=len(val)).round(4)

GRID = ((1.,0.,0.), *((w,a,b) for w in (0.,.3,.5,.7) for a in (.2,.4,.8) for b in (0.,.3,.6) if .6<w+a+b<1.25)) # weights of one multi-task LoRA of all families, of the blind ones together, and of the mean teacher

def soups(model, tok, tasks, ads, max_tokens, least=(6,5)):
    "What a choice of weights on some families brings on the others, against one multi-task LoRA: a row for each lowest weight of that LoRA and largest loss of one task; `least`: tasks to choose on, and to judge on"
    made = {str(i):averaged(ads, *s) for i,s in enumerate(GRID)}
    nll = per_task(run_panel(model, tok, tasks, {k:(lambda t,v=v: v) for k,v in made.items()}, n_rows=len(tasks[0].test), max_tokens=max_tokens))
    d = nll.sub(nll['0'], axis=0).rename(columns=int)
    family = d.index.map({t.name:t.family for t in tasks})
    fams = sorted(set(family))
    splits = [m for n in range(1, len(fams)) for c in combinations(fams, n) if (m := family.isin(c)).sum()>=least[0] and (~m).sum()>=least[1]]
    def one(lowest, harm):
        def chosen(v): return v[[i for i in d if GRID[i][0]>=lowest and v[i].max()<=harm]].mean().idxmin()
        got = pd.DataFrame([(d.loc[~m,i].mean(), d.loc[~m,i].max(), *GRID[i]) for m in splits for i in [chosen(d[m])]], columns=['minus_multitask','worst','multitask','blind','mean_teacher']).mean()
        return dict(lowest=lowest, harm=harm) | got.to_dict()
    return pd.DataFrame([one(w, h) for w in (0.,.3,.5,.7) for h in (.15,.25,np.inf)]).assign(splits=len(splits), families=len(fams), tasks=len(tasks)).round(4)

@torch.no_grad()
def first_tokens(model, tok, examples, ad, n=12): # log-probabilities [rows, vocabulary] of each answer's first token, and the token that it is
    rows,res = encode_rows(tok, examples, Template(), 256),[]
    for b in (rows[i:i+n] for i in range(0, len(rows), n)):
        x = tok.pad(dict(input_ids=[r.ids[:r.n_prompt] for r in b]), return_tensors='pt').to(model.device)
        with apply_adapters(model, ad): res.append(F.log_softmax(model(**x, logits_to_keep=1).logits[:,-1].float(), -1))
    return torch.cat(res),torch.tensor([r.ids[r.n_prompt] for r in rows], device=model.device)

def shifted(batch, usual, steps): # log of the factors on tokens that expectation maximisation finds, begun at the training tasks' usual distribution, which counts as much as the batch
    w = torch.ones_like(usual)
    for _ in range(steps): w = (torch.softmax(batch+w.log(), -1).mean(0)+usual)/(2*usual)
    return w.log()

def changed(x, batch, usual, said): # rule → logits of the first token; x, batch: log-probabilities on rows, and on the batch's prompts; usual, said: probabilities on training tasks' prompts, and among the batch's answers
    mean = torch.logsumexp(batch, 0)-np.log(len(batch))
    def mixed(other, a): return torch.logaddexp(x+np.log(1-a), other+np.log(a))
    return {'unchanged':x} | {f'temperature {t:g}':x/t for t in (1.1,1.25)} | {f"times the batch's mean to the power {a:g}":x+a*mean for a in (-.25,-.1,.1,.25,.5)} | {f"mixed with the batch's mean, share {a:g}":mixed(mean, a) for a in (.1,.3,.5)} | {
        f'expectation maximisation, {s} step{"s"*(s>1)}':x+shifted(batch, usual, s) for s in (1,3)} | {f"mixed with the batch's own answers, share {a:g}":mixed((said+1e-9).log(), a) for a in (.1,.3,.5)}

def batch_rules(model, tok, train, tasks, ad, seed, k=16):
    "What is won on an answer's first token by what a batch of prompts lets expect: a row a rule; the last ones know the batch's answers"
    usual = torch.stack([first_tokens(model, tok, t.train[:6], ad)[0].exp().mean(0) for t in train]).mean(0)
    rows = []
    for t in tasks:
        (batch,begin),(x,y) = (first_tokens(model, tok, es, ad) for es in (t.train[:k], t.test))
        said = F.one_hot(begin, len(usual)).float().mean(0)
        for n,z in changed(x, batch, usual, said).items(): rows += [dict(source=n, split='', task=t.name, condition=0, row=i, nll=v, tokens=1) for i,v in enumerate(F.cross_entropy(z, y, reduction='none').tolist())]
    df = pd.DataFrame(rows)
    nll,rules = per_task(df),list(dict.fromkeys(df.source))
    diff = paired(df, [(n,'unchanged') for n in rules[1:]], ['nll'], seed=seed).set_index('a')[['mean','lo','hi']].rename(columns=dict(mean='minus_unchanged'))
    return nll.mean()[rules].to_frame('nll').join(diff).assign(worst=nll.sub(nll.unchanged, axis=0).max(), tasks=len(tasks), prompts=k).round(4).rename_axis('rule').reset_index()

@call_parse
def main(
    data:str='../shared/data/bigbench', # JSONL tasks with families.json
    work:str='runs/tries', # LoRAs, teachers and embeddings
    out:str='results/zero_shot_tries.csv', # '': leave this part out
    tuning:str='', # CSV for fine-tuning, e.g. results/zero_shot_tuning_tries.csv; '': leave it out
    generator:str='', # CSV for ways to train a generator, e.g. results/zero_shot_generator_tries.csv; '': leave it out
    soup:str='', # CSV for rules to choose an average by, e.g. results/zero_shot_soup_tries.csv; '': leave it out
    batch:str='', # CSV for what a batch of prompts tells about how answers begin, e.g. results/zero_shot_batch_tries.csv; '': leave it out
    validate:int=3, # the fold whose tasks are judged
    leave:int=4, # the fold that is not looked at
    longest:int=60, # tokens of a prompt: 90% of a task's are no longer
    rows:int=24, # test rows a task
    seed:int=0,
    device:str='cpu',
    max_tokens:int=2048, # of a micro-batch
):
    "Averages of LoRAs on validation tasks"
    work = Path(work)
    model,tok = load_base('HuggingFaceTB/SmolLM2-135M-Instruct', device=device)
    if device=='cpu': fastest_threads(model, tok)
    short = lambda t: np.quantile([len(tok(e.prompt).input_ids) for e in t.train[:40]], .9)<=longest
    tasks = [t for t in read_tasks(data) if t.fold!=leave and short(t)]
    train,val = [t for t in tasks if t.fold!=validate],[replace(t, test=t.test[:rows]) for t in tasks if t.fold==validate]
    spec = upper_spec(model, .5)

    def lora(name, tasks, steps, seed, lr=2e-3, smooth=(0.,0.)):
        if not (work/name).exists(): save_peft(train_multitask(model, tok, tasks, spec, steps, 24, lr, seed, progress=False, smooth=smooth)[0], work/name); print(name, flush=True)
        return load_peft(work/name, spec).to(device)
    fams = sorted({t.family for t in train})
    part = {f:i%4 for i,f in enumerate(random.Random(seed).sample(fams, len(fams)))}
    blind = lambda name,smooth: [lora(f'{name}{k}', [t for t in train if part[t.family]!=k], 100, seed, smooth=smooth) for k in range(4)]
    shares = dict(vocab=(.1,0.), hedged=(.05,.1)) # of smoothed targets: over the vocabulary, over the prompt's words
    hedged = blind('hedged', shares['hedged'])
    zoo = train_teachers(model, tok, train+val, spec, work/'zoo', TeacherConfig(steps=40, rows=4, lr=3e-3, at_once=100, max_tokens=max_tokens, seed=seed), progress=False)
    last = dict(zip(zoo.tasks, zoo.last()))
    own = zoo.adapters([last[t.name] for t in train]).to(device)
    mean = own.mean()

    mix = lambda *ws: mixture(Adapters.cat([a for a,_ in ws]), torch.tensor([[w for _,w in ws]], device=device))
    average = truncate(mix(*[(a,.2) for a in hedged],(mean,.3)), 8)
    if tuning: tuned(model, tok, val[::2], dict(zero=Adapters.init(spec, 1, seed), average=average), max_tokens, seed).to_csv(tuning, index=False)
    if soup: soups(model, tok, val, Adapters.cat([lora('multi0', train, 160, seed), *hedged, mean]), max_tokens).to_csv(soup, index=False)
    if batch: batch_rules(model, tok, train, val, average, seed).to_csv(batch, index=False)
    if not (generator or out): return
    cache = PromptCache(work/'emb', make_encoder('sentence-transformers/all-MiniLM-L6-v2 + base:18', model, tok, device))
    if generator: ways(model, tok, zoo, cache, train, val, average, work, last, max_tokens).to_csv(generator, index=False)
    if not out: return

    multi,again = lora('multi0', train, 160, seed),lora('multi1', train, 160, seed+1)
    bag = blind('cross', (0.,0.))
    soft,softs = {k:lora(k, train, 160, seed, smooth=v) for k,v in shares.items()},dict(vocab=blind('vocab', shares['vocab']), hedged=hedged)
    family = {f:[t for t in train if t.family==f] for f in dict.fromkeys(t.family for t in train)}
    even = [t for g in family.values() for t in (g*6)[:6]]
    slow,balanced,both,longer = lora('slow', train, 160, seed, 5e-4),lora('balanced', even, 160, seed),lora('both', even, 160, seed, 5e-4),lora('longer', train, 320, seed, 1e-3)
    rng = random.Random(seed+8)
    draw = [rng.sample(fams, len(fams)) for _ in range(4)]
    halves = [lora(f'half{i}', [t for t in train if t.family in h], 100, seed) for i,h in enumerate(h for o in draw for h in (o[:len(o)//2], o[len(o)//2:]))]
    view = standardise(cache, {t.name:t.prompts for t in train})
    mid = F.normalize(centres(view, {t.name:t.prompts for t in train}), dim=1)
    near = {t.name:(F.normalize(pooled(view, prompt_batches(t.prompts, 16, 1, t.name)), dim=1)@mid.T)[0].to(device) for t in val}
    def like(t, tau): return Adapters.from_flat(spec, (torch.softmax(near[t.name]/tau, 0)[:,None]*own.flat()).sum(0, keepdim=True))
    of = lambda w,bag=bag: [(a,w/4) for a in bag]

    S = {'base':lambda t: None, "the task's own teacher":lambda t: zoo.adapters([last[t.name]]).to(device), 'nearest teacher by prompts':lambda t: own[[int(near[t.name].argmax())]]}
    fixed = {f'multi-task LoRA × {s:g}':multi.scaled(s) for s in (.25,.5,.75,1.,1.25)} | {f'mean teacher × {s:g}':mean.scaled(s) for s in (.5,1.,1.5)}
    fixed |= {'two multi-task LoRAs, other rows':mix((multi,.5),(again,.5)), 'four multi-task LoRAs, each without a quarter of the families':mix(*of(1.)),
        'multi-task LoRA × 0.8 + mean teacher × 0.3':mix((multi,.8),(mean,.3)), 'multi-task LoRA × 0.6 + mean teacher × 0.6':mix((multi,.6),(mean,.6)), '… cut to rank 8':truncate(mix((multi,.6),(mean,.6)), 8),
        'four × 0.8 + mean teacher × 0.3':mix(*of(.8),(mean,.3)), 'four × 0.6 + mean teacher × 0.6':mix(*of(.6),(mean,.6)), '…, cut to rank 8':truncate(mix(*of(.6),(mean,.6)), 8)}
    four = [multi,slow,balanced,both]
    fixed |= {'a quarter of the learning rate':slow, 'six tasks of every family':balanced, 'both':both, 'twice the steps at half the rate':longer, 'multi-task LoRA and these three but the last, averaged':mix(*[(a,1/4) for a in four]), '… × 0.8 + mean teacher × 0.3':mix(*[(a,.2) for a in four], (mean,.3)),
        'eight LoRAs, each on half of the families':mix(*[(a,1/8) for a in halves]), 'eight × 0.8 + mean teacher × 0.3':mix(*[(a,.1) for a in halves], (mean,.3)), 'eight and four × 0.8 + mean teacher × 0.3':mix(*[(a,.05) for a in halves], *of(.4), (mean,.3))}
    for k,what in dict(vocab='targets smoothed over the vocabulary', hedged="targets smoothed over the vocabulary and the prompt's words").items():
        fixed |= {f'one LoRA, {what}':soft[k], f'… × 0.8 + mean teacher × 0.3, {k}':mix((soft[k],.8),(mean,.3)), f'four, {what}':mix(*of(1.,softs[k])), f'these × 0.8 + mean teacher × 0.3, {k}':mix(*of(.8,softs[k]),(mean,.3)), f'these × 0.8 + mean teacher × 0.6, {k}':mix(*of(.8,softs[k]),(mean,.6))}
    for m,a,b in ((.3,.6,.3),(.5,.4,.3),(.7,.3,.3)): fixed[f'multi-task LoRA × {m:g} + four hedged × {a:g} + mean teacher × {b:g}, cut to rank 8'] = truncate(mix((multi,m), *of(a,softs['hedged']), (mean,b)), 8)
    S |= {k:(lambda t,v=v: v) for k,v in fixed.items()}
    S |= {f'teachers weighted by prompts, temperature {x:g}':(lambda t,x=x: like(t,x)) for x in (.1,.2,.4)}
    S |= {f'multi-task LoRA × 0.6 + teachers weighted by prompts, temperature {x:g} × 0.6':(lambda t,x=x: mix((multi,.6),(like(t,x),.6))) for x in (.1,.2,.4)}
    df = run_panel(model, tok, val, S, n_rows=rows, max_tokens=max_tokens)
    one = 'multi-task LoRA × 1'
    nll = per_task(df)
    mean_of = summarise(df, seed=seed).pivot(index='source', columns='metric', values='mean')
    diff = paired(df, [(s,one) for s in S if s!=one], ['nll'], seed=seed).set_index('a')[['mean','lo','hi']].rename(columns=dict(mean='minus_multitask'))
    res = mean_of[['nll','accuracy']].join(diff).assign(worst=nll.sub(nll[one], axis=0).max(), train_tasks=len(train), tasks=len(val)).loc[list(S)].round(4).rename_axis('source')
    res.to_csv(out)
    print(res.to_string())
