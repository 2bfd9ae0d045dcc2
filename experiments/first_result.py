"""How long a newcomer waits: a fresh environment, then three first results with the installed package.
    python experiments/first_result.py FOLDER --torch torch --out results/first_result.json
FOLDER is made anew: an environment, and a folder to work in. Seconds are of the wall clock and of the processor; MB are what lies on the disk."""
import json, os, platform, re, resource, subprocess, sys, time
from pathlib import Path
from fastcore.script import call_parse, store_true

repo = Path(__file__).resolve().parent.parent
ROWS = dict(billing='I was charged twice for my order.|Please send me the invoice.|My card was refused.|I want my money back.|The price on the bill is wrong.|Can I pay by bank transfer?|You took the fee two times.',
    shipping='Where is my parcel?|It should have arrived on Monday.|The parcel went to the wrong house.|Can you deliver on Saturday?|The tracking number does not work.|The box was open when it came.|Please change the address of delivery.',
    technical='The screen stays black.|The battery does not charge.|The app closes by itself.|It makes a strange noise.|How do I reset it?|It does not turn on.')
TASKS = {'plural of':lambda w: w+'s', 'shout':str.upper, 'first letter of':lambda w: w[0], 'twice':lambda w: f'{w} {w}'}
WORDS = 'cat dog sun tree book lamp road fish bird moon'.split()
TINY = '''
from transformers import LlamaConfig, LlamaForCausalLM
from dnd_nb.model import tiny_tokenizer
tok = tiny_tokenizer()
LlamaForCausalLM(LlamaConfig(vocab_size=len(tok), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, pad_token_id=tok.pad_token_id, eos_token_id=tok.eos_token_id)).save_pretrained('my_llama')
tok.save_pretrained('my_llama')
'''

def timed(cwd, *cmd):
    "A command in a process of its own: seconds, seconds of the processor, what it said"
    a,t0 = resource.getrusage(resource.RUSAGE_CHILDREN),time.time()
    r = subprocess.run(list(map(str, cmd)), cwd=cwd, capture_output=True, text=True, env={k:v for k,v in os.environ.items() if k!='PYTHONPATH'})
    b = resource.getrusage(resource.RUSAGE_CHILDREN)
    if r.returncode: raise SystemExit(f'{" ".join(map(str, cmd))}\n{r.stdout[-1500:]}{r.stderr[-1500:]}')
    return dict(s=round(time.time()-t0), cpu_s=round(b.ru_utime+b.ru_stime-a.ru_utime-a.ru_stime), said=r.stdout)

def mb(*folders): return round(sum(p.stat().st_size for f in folders for p in Path(f).rglob('*') if p.is_file() and not p.is_symlink())/1e6)

def write_inputs(work):
    "Twenty answered rows, and a table of four tasks"
    work.mkdir()
    ask = 'Which department, billing, shipping or technical? '
    rows = [(ask+m, d) for d,ms in ROWS.items() for m in ms.split('|')]
    (work/'messages.csv').write_text('message,department\n'+''.join(f'"{m}",{d}\n' for m,d in rows))
    (work/'mine.csv').write_text('prompt,answer,task\n'+''.join(f'{say} {w},{f(w)},{say.replace(" ","_")}\n' for say,f in TASKS.items() for w in WORDS))
    (work/'prompts.txt').write_text('opposite of hot\nopposite of big\nopposite of old\n')

def ten_lines(readme, base):
    "The lines of the README that load the adapter, with a folder for the base model, as it says for machines without the Hub"
    lines = readme.read_text().split('```python\n')[1].split('```')[0]
    name = re.search(r"AutoTokenizer.from_pretrained\('(.+?)'\)", lines)[1]
    return lines.replace(f"'{name}'", repr(str(base))).replace('YOUR PROMPT', 'Which department, billing, shipping or technical? My order has not come.')

@call_parse
def main(
    folder:str, # made anew
    torch:str='torch', # what pip is asked for first
    out:str='results/first_result.json', # to write
    keep:store_true=False, # take the environment that is in FOLDER
):
    "Time each step, and write what it took"
    home = Path(folder).resolve(); env,work,py = home/'env',home/'work',home/'env'/'bin'/'python'
    steps = {}
    def step(name, *cmd, cwd=work, **kw): steps[name] = timed(cwd, *cmd) | kw; print(name, steps[name]['s'], 's', flush=True)
    if not keep:
        home.mkdir()
        timed(home, sys.executable, '-m', 'venv', env)
        step('install PyTorch', py, '-m', 'pip', 'install', '-q', torch, cwd=home); steps['install PyTorch']['mb'] = mb(env)
        step('install the package', py, '-m', 'pip', 'install', '-q', repo, cwd=home); steps['install the package']['mb'] = mb(env)-steps['install PyTorch']['mb']
        (home/'steps.json').write_text(json.dumps(steps))
    else: steps = json.loads((home/'steps.json').read_text())
    write_inputs(work); dnd = env/'bin'
    step('base model, brought once', py, '-c', 'from dnd_nb.model import load_base, find_weights; load_base(); print(find_weights("HuggingFaceTB/SmolLM2-135M-Instruct"))')
    base = steps['base model, brought once'].pop('said').split()[-1]
    steps['base model, brought once']['mb'] = mb(base)
    step('20 answered rows to an adapter and a decision', dnd/'dnd_generate', 'messages.csv', '--answer-field', 'department', '--out', 'departments')
    said = steps['20 answered rows to an adapter and a decision'].pop('said')
    steps['20 answered rows to an adapter and a decision']['estimate'] = int(re.search(r'about (\d+) s from now', said)[1])
    lines = ten_lines(work/'departments'/'README.md', base)
    step('opened by PEFT, from its README', py, '-c', lines, lines=len(lines.splitlines()))
    step('a tiny base model', py, '-c', TINY); steps.pop('a tiny base model')
    step('teachers for an own base model', dnd/'dnd_collect', '--tasks', 'mine.csv', '--zoo', 'zoo', '--base', 'my_llama')
    step('a generator for it', dnd/'dnd_train', '--zoo', 'zoo', '--tasks', 'tasks', '--encoder', 'base:1')
    step('an adapter of that generator', dnd/'dnd_generate', 'runs/first', 'prompts.txt')
    assert {'adapter_config.json','adapter_model.safetensors','README.md'} <= {p.name for p in (work/'adapter').iterdir()}
    for v in steps.values(): v.pop('said', None)
    decision = json.loads((work/'departments'/'decision.json').read_text())['decision']['sentence']
    commit = subprocess.run(['git','-C',repo,'rev-parse','--short=12','HEAD'], capture_output=True, text=True).stdout.strip()
    Path(out).write_text(json.dumps(dict(steps=steps, decision=decision, load=round(os.getloadavg()[0],1), cores=os.cpu_count(), python=platform.python_version(),
        torch=torch, commit=commit), indent=1)+'\n')
