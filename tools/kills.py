"""Every state in which a killed command can leave its folder, and what the same command makes of it: `python tools/kills.py`.

A command runs once. Before each operation on files its folder is looked at, and a state that was not seen before is kept.
A file that grew in place is also kept half written. Then the command is called in each of these states. It must end with
the result of the unbroken run, and leave nothing behind. The world and its judge are those of `faults.py`."""
import csv, hashlib, json, os, random, shutil, sys, tempfile, threading, time, traceback
from collections import Counter
from pathlib import Path
from fastcore.script import call_parse
from faults import OUTCOMES, World, call, made_small, read_log, run

COMMANDS = ('collect','train','use','generate','evaluate','study','imported','demo','doctor') # in order of importance
STUDY = dict(folds='fold0', settings='{"k": [1,4], "draws": 1, "held": 2, "training": {"steps": 2}}')
EVENTS = ('open','os.rename','os.remove','os.mkdir','os.rmdir','os.link','os.symlink','os.truncate','os.listdir','os.scandir',
    'shutil.rmtree','shutil.copyfile','shutil.move','fcntl.flock','sqlite3.connect')

def whole_call(command):
    "Call a command; a study with its pieces, of which `faults.py` tries the command line only"
    if command!='study': return call(command)
    from dnd_nb.study.pieces import Study
    parts = Study.run,Study.reports
    made_small()
    Study.run,Study.reports = parts
    call(command, **STUDY)

class Looking:
    "Looks at a folder before each operation on files, and keeps what was not there before"
    def __init__(self, ws, to):
        self.ws,self.to = str(ws),Path(to)
        self.ops,self.seen,self.known,self.busy,self.moved = 0,set(),{},threading.Lock(),[]
        (self.to/'blobs').mkdir(parents=True)
        self.out = open(self.to/'states.jsonl', 'w')

    def sum_of(self, p):
        "Path of a file → SHA-256; its content is kept"
        s = os.lstat(p)
        at = s.st_ino,s.st_size,s.st_mtime_ns,s.st_ctime_ns
        if time.time_ns()-s.st_mtime_ns>10**8 and self.known.get(p, (0,0))[0]==at: return self.known[p][1]
        with open(p, 'rb') as f: b = f.read()
        h = hashlib.sha256(b).hexdigest()
        if not (f := self.to/'blobs'/h).exists(): f.write_bytes(b)
        self.known[p] = at,h
        return h

    def tree(self):
        "Path → what lies there"
        res = {}
        for at,ds,fs in os.walk(self.ws):
            for n in (*ds, *fs):
                p = f'{at}/{n}'
                rel = p[len(self.ws)+1:]
                if os.path.islink(p): res[rel] = 'l'+os.readlink(p)
                else: res[rel] = 'd' if n in ds else self.sum_of(p)
        return res

    def look(self, name, moved=()):
        "Before an operation: is this a new state?"
        if not self.busy.acquire(blocking=False): return
        try:
            self.ops += 1
            t = self.tree()
            h = hashlib.sha256(json.dumps(t, sort_keys=True).encode()).hexdigest()
            if h not in self.seen: self.out.write(json.dumps(dict(op=self.ops, before=name, tree=t, moved=self.moved))+'\n')
            if h not in self.seen or moved: self.moved = [os.path.relpath(os.path.join(self.ws, m), self.ws) for m in moved]
            self.seen.add(h)
        except FileNotFoundError: pass # it went meanwhile, in another thread
        finally: self.busy.release()

    def hook(self, event, args):
        "As `sys.addaudithook` calls it"
        if event not in EVENTS or self.busy.locked(): return
        p = args[0] if args else ''
        if isinstance(p, int): return self.look(event)
        p = os.fsdecode(p) if isinstance(p, (str,bytes,os.PathLike)) else ''
        if os.path.isabs(p) and not p.startswith(self.ws): return
        self.look(event, [os.fsdecode(a) for a in args[:2]] if event=='os.rename' else ())

def record(command, to):
    "Run a command and look all the while"
    l = Looking(os.getcwd(), to)
    from dnd_nb.io import files
    sync,swap = os.fsync,files._exchange
    def fsync(fd): l.look('fsync'); return sync(fd)
    def exchange(a, b): l.look('exchange', (str(a),str(b))); return swap(a, b)
    os.fsync,files._exchange = fsync,exchange
    sys.addaudithook(l.hook)
    whole_call(command)
    l.look('end')
    l.out.close()
    (l.to/'ops').write_text(str(l.ops))

def states_of(to):
    "The states that were kept, and those with a half-written file: (what, tree)"
    from dnd_nb.io.files import _scratch
    rows,res,last = [json.loads(l) for l in open(to/'states.jsonl')],[],{}
    for r in rows:
        for p,h in r['tree'].items() if last else ():
            if h=='d' or h[0]=='l' or last.get(p)==h or any(_scratch.fullmatch(n) for n in p.split('/')): continue
            if any(p==m or p.startswith(m+'/') for m in r['moved']): continue # it came by a rename, so at once
            b = (to/'blobs'/h).read_bytes()
            was = (to/'blobs'/last[p]).read_bytes() if last.get(p, 'd')[1:] and last[p][0]!='l' else b''
            if len(b)-len(was)<2 or not b.startswith(was): continue
            half = b[:(len(b)+len(was))//2]
            s = hashlib.sha256(half).hexdigest()
            (to/'blobs'/s).write_bytes(half)
            res.append((f'{p} half written before operation {r["op"]}', last | {p:s}))
        res.append((f'before operation {r["op"]}, {r["before"]}', r['tree']))
        last = r['tree']
    return res

def restore(tree, to, ws):
    "Make a folder as it was"
    ws.mkdir()
    for p,h in sorted(tree.items()):
        if h=='d': (ws/p).mkdir(parents=True, exist_ok=True)
    for p,h in tree.items():
        if h[0]=='l': (ws/p).parent.mkdir(parents=True, exist_ok=True); (ws/p).symlink_to(h[1:])
        elif h!='d': (ws/p).parent.mkdir(parents=True, exist_ok=True); shutil.copyfile(to/'blobs'/h, ws/p)

def study_result(ws):
    "What a study says, without the seconds that it took"
    r = json.loads((ws/'study.json').read_text())
    return {k:r[k] for k in ('complete','missing','panel','paired','bars','tasks')}

def resumed(world, command, what, tree, to, n):
    "Call the command in a state that a kill left: (outcome, what it said)"
    from dnd_nb.io.files import _scratch
    ws = world.top/f'k{os.getpid()}-{n}'
    restore(tree, to, ws)
    try:
        r = run(lambda: whole_call(command), ws, 180)
        o = world.judge(ws, command, r, need=True)
        if o=='right' and command=='study' and study_result(ws)!=world.study: o = 'wrong'; r.err += '\nanother study'
        left = [p.name for p in ws.rglob('.*') if _scratch.fullmatch(p.name)]
        if o=='right' and left: o = 'wrong'; r.err += f'\nleft: {left[0]}'
        return o,r.last
    finally: shutil.rmtree(ws, ignore_errors=True)

def tried(world, command, jobs, log, until):
    "All states of a command: (operations, states, outcomes, commits)"
    from dnd_nb.crew import this_commit
    to,ws = world.top/f'looked-{command}',world.top/f'run-{command}'
    shutil.copytree(world.top/f'before_{command}', ws, symlinks=True)
    t0 = time.time()
    r = run(lambda: record(command, to), ws, 600)
    if r.rc or not (to/'ops').exists(): raise SystemExit(f'{command} does not run while it is looked at: {r.err[-1500:]}')
    if command=='study': world.study = study_result(ws)
    states = states_of(to)
    if until: random.Random(0).shuffle(states) # so that those that there is time for are some of all
    print(f'{command}: {(to/"ops").read_text()} operations, {len(states)} states, {time.time()-t0:.0f} s', flush=True)
    done = {r['what'] for r in read_log(log) if r['command']==command and r['outcome']=='right'}
    pids,commit,left = [],this_commit(),[s for s in states if s[0] not in done]
    for j in range(jobs):
        sys.stdout.flush()
        if pid := os.fork(): pids.append(pid); continue
        failed = 1 # whatever is raised here must not run what the parent has to clean up
        try:
            for n,(what,tree) in list(enumerate(left))[j::jobs]:
                if until and time.time()>until: break
                o,said = resumed(world, command, what, tree, to, n)
                row = dict(command=command, what=what, outcome=o, said=said.replace(str(world.top), '…'), commit=commit)
                with open(log, 'a', encoding='utf-8') as f: f.write(json.dumps(row)+'\n')
                if o!='right': print(f'{o:9} {command:10} {what}: {said!r}', flush=True)
            failed = 0
        except Exception: traceback.print_exc()
        finally: os._exit(failed)
    if any([os.waitpid(p, 0)[1] for p in pids]): raise SystemExit(f'{command}: a process of this tool failed; see above')
    rows = {r['what']:r for r in read_log(log) if r['command']==command}
    rows,ops = [rows[w] for w,_ in states if w in rows],int((to/'ops').read_text())
    for d in (to, ws): shutil.rmtree(d, ignore_errors=True)
    return ops,states,Counter(r['outcome'] for r in rows),sorted({r['commit'] for r in rows})

HEAD = ('command','operations','states','half_written',*OUTCOMES,'complete','commit')
def write_row(out, row):
    "Put a command's row into the CSV, in place of an older one"
    rows = {}
    if out.exists():
        with open(out, encoding='utf-8', newline='') as f: rows = {r['command']:r for r in csv.DictReader(f)}
    rows[row['command']] = row
    out.parent.mkdir(parents=True, exist_ok=True)
    with open(out, 'w', encoding='utf-8', newline='') as f:
        w = csv.DictWriter(f, HEAD, lineterminator='\n')
        w.writeheader(); w.writerows(rows[c] for c in COMMANDS if c in rows)

@call_parse
def main(
    commands:str=','.join(COMMANDS), # which commands, separated by commas
    out:str='', # CSV to add to, e.g. results/faults/kills.csv
    seconds:float=0, # begin no resumption after so long; 0: no limit
    jobs:int=1, # processes that share the states of a command
    log:str='', # a line of JSON for each state; what is right there is not tried again
):
    "Resume each command from every state that a kill can leave; exit 1 unless all is right"
    import torch, transformers, peft, sentence_transformers, pandas, scipy.stats
    import dnd_nb.cli, dnd_nb.demo, dnd_nb.diagnostics, dnd_nb.doctor, dnd_nb.train, dnd_nb.evaluate, dnd_nb.tasks.sources
    import dnd_nb.pretrain, dnd_nb.use, dnd_nb.generate_command, dnd_nb.study.command, dnd_nb.bench.measures, matplotlib.pyplot
    t0,bad = time.time(),0
    top = Path(tempfile.mkdtemp(prefix='kills-'))
    os.environ['DND_NB_CACHE'] = str(top/'cache')
    try:
        world = World(top, random.Random(0))
        for c in commands.split(','):
            ops,states,count,commits = tried(world, c, jobs, log or top/'log.jsonl', t0+seconds if seconds else 0)
            half = sum('half written' in w for w,_ in states)
            n = sum(count.values())
            row = dict(command=c, operations=ops, states=len(states)-half, half_written=half, complete=n==len(states),
                commit='+'.join(commits), **{o:count[o] for o in OUTCOMES})
            print(f'{c}: {count["right"]} of {n} right'+('' if n==len(states) else f', {len(states)-n} not tried'), flush=True)
            bad += n-count['right']+(0 if seconds else len(states)-n)
            if out: write_row(Path(out), row)
    finally: shutil.rmtree(top, ignore_errors=True)
    print(f'in {time.time()-t0:.0f} s')
    sys.exit(bool(bad))
