"""Teachers for every task of a folder in `families.json` folds, and a generator trained on all folds but one; wall times and a panel as JSON.

    python tools/bigbench.py --data ../shared/data/bigbench --work runs/bigbench --out results/bigbench_gpu.json

Resumable: what is in the work folder is not done again."""
import platform, time
from pathlib import Path
import torch
from fastcore.script import call_parse
from dnd_nb.adapter import LoraSpec, read_json, save_peft, load_peft, write_json
from dnd_nb.dataset import prompt_batches
from dnd_nb.demo import nearest, other_tasks, peak_gb
from dnd_nb.encoder import PromptCache, SentenceEncoder
from dnd_nb.evaluate import gap_closed, paired, run_panel, summarise
from dnd_nb.model import load_base, load_encoder
from dnd_nb.task import fold_split, read_tasks, val_split
from dnd_nb.teacher import TeacherConfig, train_teachers
from dnd_nb.train import TrainConfig, Trainer, train_multitask, warm_start

class Times(dict):
    "Seconds of each stage, kept in the work folder so that a resumed run reports them all"
    def __init__(self, path): self.path = Path(path); super().__init__(read_json(path) if self.path.exists() else {})
    def __call__(self, name, f):
        t = time.time()
        res = f()
        if torch.cuda.is_available(): torch.cuda.synchronize()
        self.setdefault(name, round(time.time()-t, 1))
        write_json(self.path, dict(self))
        print(f'{name}: {time.time()-t:.1f} s', flush=True)
        return res

def sources(run, cache, zoo, multi, train, tasks, k, n, seed):
    "The panel's adapters: which one for this task?"
    prompts = {t.name: t.prompts for t in tasks}
    batch = lambda t,m,tag: prompt_batches(prompts[t], k, m, f'{seed}/{tag}/{t}')
    ix = [i for i in zoo.last() if zoo.entries[i]['task'] in train]
    mean,others = zoo.adapters(ix).mean(),other_tasks(list(prompts), n, seed)
    return dict(base=lambda t: None, mean_teacher=lambda t: mean, nearest_teacher=lambda t: zoo.adapters(nearest(cache, batch(t.name,1,'near')[0], zoo, train)), multitask=lambda t: multi,
        generated=lambda t: run.generate(cache, batch(t.name,n,'right')).to('cpu'), generated_shuffled=lambda t: run.generate(cache, [batch(o,1,f'other/{t.name}')[0] for o in others[t.name]]).to('cpu'),
        teacher=lambda t: zoo.adapters([zoo.of(t.name)[-1]]))

@call_parse
def main(
    data:str='../shared/data/bigbench', # JSONL tasks with families.json
    work:str='runs/bigbench', # zoo, run and embeddings
    out:str='results/bigbench_gpu.json', # JSON to write
    base:str='HuggingFaceTB/SmolLM2-135M-Instruct', # base model
    encoder:str='sentence-transformers/all-MiniLM-L6-v2',
    fold:int=4, # held out
    start:str='mean', # what the generator corrects: mean (teacher), or given (the multi-task LoRA)
    steps:int=100, # of a teacher
    recon:int=600, # reconstruction steps
    sft:int=200, # steps through the base
    seed:int=0,
    n_tasks:int=0, # only so many, for a trial
    cfg_rows:int=24, # test rows a task of the panel
    max_tokens:int=49152, # of a micro-batch
    device:str='cuda',
):
    "Teachers, multi-task LoRA, generator and panel on BIG-bench"
    work = Path(work)
    took = Times(work/'times.json')
    model,tok = load_base(base, device=device)
    tasks = list(read_tasks(data))[:n_tasks or None]
    spec = LoraSpec.from_model(model, ['q_proj','v_proj'])
    tc = TeacherConfig(steps=steps, rows=8, lr=2e-3, seed=seed, at_once=77, max_tokens=max_tokens, keep=(.8,.9,1.))
    zoo = took('teachers', lambda: train_teachers(model, tok, tasks, spec, work/'zoo', tc, progress=False))
    cache = PromptCache(work/'embeddings', SentenceEncoder(load_encoder(encoder, device=device), batch_size=256))
    took('embeddings', lambda: cache.encode([p for t in tasks for p in t.prompts]))
    sp = fold_split(tasks, fold)
    sp2 = val_split(sp, share=.12, seed=seed)
    train,val,held = ({t.name for t in g} for g in (sp2.train, sp2.val, sp2.held_out_far))
    if not (work/'multitask').exists():
        multi = took('multitask', lambda: train_multitask(model, tok, sp2.train, spec, 280, 32, 2e-3, seed, progress=False)[0])
        save_peft(multi, work/'multitask')
    multi = load_peft(work/'multitask', spec)
    cfg = TrainConfig(warm_start(recon, sft, 1e-3, 3e-4, 16, 4), dict(kind='MLPGenerator', hidden=256, noise=.3, cond_drop=.1), base=start, k=(8,32), seed=seed, val_every=20)
    gz = [t for t in tasks if t.name in train|val]
    run = took(f'generator_{start}', lambda: Trainer(cfg, work/f'run_{start}', zoo.only(train|val), cache, gz, sorted(val), model, tok, multi if start=='given' else None).fit(progress=False))
    run.gen.to(device)
    seen = [t for t in tasks if t.name in train][:20]
    ho = [t for t in tasks if t.name in held]
    split = {t.name:'seen' for t in seen} | {t.name:'held_out' for t in ho}
    df = took('panel', lambda: run_panel(model, tok, seen+ho, sources(run, cache, zoo, multi, train, tasks, 16, 2, seed), split, cfg_rows, max_tokens=32768))
    rows = [r for f in (summarise(df, seed=seed), gap_closed(df, seed=seed)) for r in f.round(4).to_dict('records')]
    pairs = paired(df, [('generated',b) for b in ('base','mean_teacher','nearest_teacher','multitask','generated_shuffled','teacher')], ['nll','accuracy'], seed=seed)
    name = torch.cuda.get_device_name() if device=='cuda' else platform.processor()
    import transformers
    write_json(out, dict(device=name, wall_s=dict(took), tasks=len(tasks), checkpoints=len(zoo), train_tasks=len(train), val_tasks=sorted(val), held_out_fold=fold, teacher=vars(tc)|dict(keep=list(tc.keep)), selected=run.selected, panel=rows,
        paired=pairs.round(4).to_dict('records'), seed=seed, peak_gpu_gb=round(torch.cuda.max_memory_allocated()/1e9,1) if device=='cuda' else None, versions=dict(torch=str(torch.__version__), transformers=transformers.__version__)))
    print(summarise(df, seed=seed).pivot(index='source', columns=['metric','split'], values='mean').round(3).to_string())
