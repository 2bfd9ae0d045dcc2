"""EleutherAI's lm-eval runs a generated adapter: answered rows of a built-in task in, an adapter out, and lm-eval's loglikelihoods of the
choices of other rows, of the base model and under the adapter, beside our own. Makes results/lm_eval.json. Needs: pip install lm-eval.
    python experiments/lm_eval_adapter.py [--task sentiment]"""
import json, logging, tempfile
from pathlib import Path
import lm_eval, torch
from fastcore.script import call_parse
from dnd_nb import generate
from dnd_nb.crew import this_commit, versions
from dnd_nb.evaluate import score
from dnd_nb.io.files import write_json
from dnd_nb.io.peft import load_peft
from dnd_nb.model import find_weights, load_base
from dnd_nb.task import Template
from dnd_nb.tasks.builtin import builtin_tasks

NAME = 'HuggingFaceTB/SmolLM2-135M-Instruct'

def task_of(rows, template, end, folder):
    "A task of lm-eval from rows with choices, in a file"
    f = Path(folder)/'rows.jsonl'
    said = [(*template.render(e), e) for e in rows]
    lines = [dict(text=p, choices=[template.answer.format(answer=c)+end for c in e.choices], gold=e.choices.index(e.answer)) for p,_,e in said]
    f.write_text('\n'.join(map(json.dumps, lines)), encoding='utf-8')
    return dict(task='own_rows', dataset_path='json', dataset_kwargs=dict(data_files=dict(test=str(f))), test_split='test',
        output_type='multiple_choice', doc_to_text='{{text}}', doc_to_choice='{{choices}}', doc_to_target='{{gold}}', target_delimiter='',
        metric_list=[dict(metric='acc', aggregation='mean', higher_is_better=True)], metadata=dict(version=1))

def judged(task, base, adapter=None):
    "lm-eval's accuracy"
    args = dict(pretrained=str(base), dtype='float32') | (dict(peft=str(adapter)) if adapter else {})
    r = lm_eval.simple_evaluate(model='hf', model_args=args, tasks=[task], device='cpu', batch_size=8, bootstrap_iters=0)
    return round(float(r['results']['own_rows']['acc,none']), 4)

@call_parse
def main(
    task:str='', # a built-in task with choices; the first one if not given
    k:int=8, # examples shown to the generator
    n:int=24, # rows judged
    out:str='results/lm_eval.json', # the result
):
    "Compare accuracies"
    torch.set_num_threads(1); logging.disable(logging.WARNING)
    ts = [t for t in builtin_tasks(n_train=k, n_test=n) if t.test[0].choices]
    t = next(o for o in ts if not task or o.name==task)
    model,tok = load_base(NAME, torch.float32)
    template = Template()
    with tempfile.TemporaryDirectory() as d:
        made = generate(t.train[:k], f'{d}/adapter', model, tok, method='generated')
        own = task_of(t.test[:n], template, tok.eos_token, d)
        ad = load_peft(made.folder, model=model)
        def ours(a=None): return round(float(torch.as_tensor(score(model, tok, t.test[:n], a, template=template).accuracy).float().mean()), 4)
        rows = [dict(what=w, lm_eval=judged(own, find_weights(NAME), f), ours=ours(a)) for w,f,a in (('base',None,None), ('generated',made.folder,ad))]
    print(rows)
    write_json(out, dict(made_by='experiments/lm_eval_adapter.py', base=NAME, task=t.name, k=k, n=n, seed=0, device='cpu',
        commit=this_commit(), versions=versions('peft') | dict(lm_eval=lm_eval.__version__), rows=rows))
