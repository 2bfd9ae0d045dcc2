"""How long the rows of a folder of tasks are, in tokens, for `dnd_bench`, which then needs neither the tasks nor the tokenizer.

    python experiments/bench_lengths.py --data ../shared/data/bigbench"""
import random
from fastcore.script import call_parse
from dnd_nb.io.files import write_json
from dnd_nb.model import find_weights
from dnd_nb.task import encode_rows, read_tasks
from transformers import AutoTokenizer

@call_parse
def main(
    data:str='../shared/data/bigbench', # JSONL tasks
    base:str='HuggingFaceTB/SmolLM2-135M-Instruct', # whose tokenizer
    n:int=32, # rows a task, drawn by the seed
    max_len:int=256, # longer prompts are cut
    seed:int=0,
    out:str='results/bigbench_lengths.json',
):
    "Tokens of prompt and answer, 'p+a' a row, for each task"
    tok = AutoTokenizer.from_pretrained(find_weights(base), local_files_only=True)
    res = {}
    for t in read_tasks(data):
        rows = encode_rows(tok, random.Random(seed).sample(t.train, min(n, len(t.train))), max_len=max_len)
        res[t.name] = ' '.join(f'{r.n_prompt}+{r.n_answer}' for r in rows)
    write_json(out, dict(tokenizer=base, max_len=max_len, seed=seed, tasks=res))
    print(f'{out}: {len(res)} tasks')
