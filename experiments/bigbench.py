"""Teachers for every task of a folder in `families.json` folds, and a generator trained on all folds but one; wall times and a panel as JSON.

    python experiments/bigbench.py --data ../shared/data/bigbench --work runs/bigbench --out results/bigbench_gpu.json

Resumable: what is in the work folder is not done again."""
import platform
from pathlib import Path
import torch
from fastcore.script import call_parse
from dnd_nb.adapter import LoraSpec
from dnd_nb.io.files import write_json
from dnd_nb.io.peft import load_peft, save_peft
from dnd_nb.delta import GENERIC
from dnd_nb.demo import Clock
from dnd_nb.diagnostics import panel_sources
from dnd_nb.encoder import PromptCache, SentenceEncoder
from dnd_nb.evaluate import gap_closed, paired, run_panel, summarise
from dnd_nb.model import load_base, load_encoder
from dnd_nb.task import read_tasks
from dnd_nb.tasks.split import fold_split, val_split
from dnd_nb.teacher import TeacherConfig
from dnd_nb.collect import train_teachers
from dnd_nb.run import TrainConfig, warm_start
from dnd_nb.train import Trainer
from dnd_nb.teacher import train_multitask

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
    rows:int=60, # test rows a task of the panel
    k:int=16, # prompts a condition
    conditions:int=8, # random prompt batches a task
    max_tokens:int=49152, # of a micro-batch
    device:str='cuda',
):
    "Teachers, multi-task LoRA, generator and panel on BIG-bench"
    work = Path(work)
    clock = Clock(work/'times.json')
    model,tok = load_base(base, device=device)
    tasks = list(read_tasks(data))[:n_tasks or None]
    spec = LoraSpec.from_model(model, ['q_proj','v_proj'])
    tc = TeacherConfig(steps=steps, rows=8, lr=2e-3, seed=seed, at_once=77, max_tokens=max_tokens, keep=(.8,.9,1.))
    clock('loading')
    zoo = train_teachers(model, tok, tasks, spec, work/'zoo', tc, probes=GENERIC, progress=False)
    clock('teachers')
    cache = PromptCache(work/'embeddings', SentenceEncoder(load_encoder(encoder, device=device), batch_size=256))
    cache.encode([p for t in tasks for p in t.prompts])
    clock('embeddings')
    sp = fold_split(tasks, fold)
    sp2 = val_split(sp, share=.12, seed=seed)
    train,val,held = ({t.name for t in g} for g in (sp2.train, sp2.val, sp2.held_out_far))
    if not (work/'multitask').exists():
        save_peft(train_multitask(model, tok, sp2.train, spec, 280, 32, 2e-3, seed, progress=False)[0], work/'multitask')
        clock('multitask')
    multi = load_peft(work/'multitask', spec)
    cfg = TrainConfig(warm_start(recon, sft, 1e-3, 3e-4, 16, 4), dict(kind='MLPGenerator', hidden=256, noise=.3, cond_drop=.1), base=start, k=(8,32), seed=seed, val_every=20)
    gz = [t for t in tasks if t.name in train|val]
    run = Trainer(cfg, work/f'run_{start}', zoo.only(train|val), cache, gz, sorted(val), model, tok, multi if start=='given' else None).fit(progress=False)
    clock(f'generator_{start}')
    run.gen.to(device)
    seen = [t for t in tasks if t.name in train][:20]
    ho = [t for t in tasks if t.name in held]
    split = {t.name:'seen' for t in seen} | {t.name:'held_out' for t in ho}
    src = panel_sources(run, cache, zoo, {t.name:t.prompts for t in seen+ho}, k, conditions, seed, multi)
    df = run_panel(model, tok, seen+ho, src, split, rows, max_tokens=32768)
    clock(f'panel_{start}')
    panel = [r for f in (summarise(df, seed=seed), gap_closed(df, seed=seed)) for r in f.round(4).to_dict('records')]
    pairs = paired(df, [('generated',b) for b in ('base','mean_teacher','nearest_teacher','multitask','generated_other_task','teacher')], ['nll','accuracy'], seed=seed)
    name = torch.cuda.get_device_name() if device=='cuda' else platform.processor()
    import transformers
    write_json(out, dict(device=name, wall_s=clock.steps, tasks=len(tasks), checkpoints=len(zoo), train_tasks=len(train), val_tasks=sorted(val), held_out_fold=fold, teacher=vars(tc)|dict(keep=list(tc.keep)), selected=run.selected, panel=panel, rows=rows, k=k, conditions=conditions,
        paired=pairs.round(4).to_dict('records'), seed=seed, end_of_answer=tok.eos_token, peak_gpu_gb=round(torch.cuda.max_memory_allocated()/1e9,1) if device=='cuda' else None, versions=dict(torch=str(torch.__version__), transformers=transformers.__version__)))
    print(summarise(df, seed=seed).pivot(index='source', columns=['metric','split'], values='mean').round(3).to_string())
