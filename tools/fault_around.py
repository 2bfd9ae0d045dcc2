"""More lists for `faults.py`: what surrounds a process, files that took each other's place, and odd command lines"""
import contextlib, ctypes, io, json, os, resource, shutil, subprocess, sys, tempfile, time
from pathlib import Path
from faults import ORDER, THESIS, Fault, call, run

# ---- around: environment, streams, clock, place and limits of the process
def env(**kw):
    "Set variables of the environment; None: unset"
    def f(ws):
        for k,v in kw.items(): os.environ.pop(k, None) if v is None else os.environ.update({k:v.replace('{ws}', str(ws))})
        tempfile.tempdir = None
    return f

def closed(*fds):
    "Streams that nobody opened, as under a daemon"
    def f(ws):
        for fd in fds: os.close(fd)
        for fd,n in enumerate(('stdin','stdout','stderr')):
            if fd in fds: setattr(sys, n, None)
    return f

def gone(ws):
    "What is printed goes to a reader that has left"
    r,w = os.pipe()
    os.close(r); os.dup2(w, 1)
    sys.stdout = open(1, 'w', closefd=False) # the old one remembers a place in a file

def full(ws): os.dup2(os.open('/dev/full', os.O_WRONLY), 1)

def encoded(encoding):
    "A terminal with few letters, as in LC_ALL=C or on Windows"
    def f(ws):
        sys.stdout = open(1, 'w', encoding=encoding, closefd=False)
        sys.stderr = open(2, 'w', encoding=encoding, errors='backslashreplace', closefd=False)
    return f

def clock(how):
    "A clock that stands still, runs backwards, or is wrong"
    def f(ws):
        now,n = time.time,[0]
        def back(): n[0] += 1; return now()-n[0]
        time.time = dict(still=lambda: 1e9, back=back, zero=lambda: 0., far=lambda: 2.**33)[how]
    return f

def bounded(what, n):
    def f(ws): resource.setrlimit(getattr(resource, what), (n, n))
    return f

def little(n):
    "No more memory than what is in use, and n bytes"
    def f(ws):
        used = int(Path('/proc/self/statm').read_text().split()[0])*resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used+n, used+n))
    return f

def read_only(*names):
    "Folders on a read-only mount, which only this process sees; nothing is done where mounts are not allowed"
    def f(ws):
        if ctypes.CDLL(None).unshare(0x20000): return # CLONE_NEWNS
        def mount(*a): subprocess.run(['mount', *a], check=True, capture_output=True)
        try:
            mount('--make-rprivate', '/')
            for n in names:
                p = str(ws/n)
                mount('--bind', p, p); mount('-o', 'remount,ro,bind', p)
        except (OSError, subprocess.CalledProcessError): return
        os.chdir(ws) # the mount, not what lies under it
    return f

def left(ws):
    "The folder that it was called in is gone"
    (ws/'went').mkdir(); os.chdir(ws/'went'); (ws/'went').rmdir()

def moved_to(name):
    "The workspace under another name"
    def f(ws):
        to = ws/name
        to.mkdir(parents=True)
        for p in list(ws.iterdir()):
            if p.name!=Path(name).parts[0]: os.rename(p, to/p.name)
        os.chdir(to)
    return f

AROUND = dict(no_home=env(HOME=None, DND_NB_CACHE=None, XDG_CACHE_HOME='{ws}/new'), home_gone=env(HOME='{ws}/nowhere', DND_NB_CACHE=None),
    home_file=env(HOME='{ws}/thesis.txt', DND_NB_CACHE=None), cache_file=env(DND_NB_CACHE='{ws}/thesis.txt'), cache_null=env(DND_NB_CACHE='/dev/null'),
    cache_full=env(DND_NB_CACHE='/dev/full/x'), cache_long=env(DND_NB_CACHE='{ws}/'+'x'*300), cache_proc=env(DND_NB_CACHE='/proc/x'),
    tmp_gone=env(TMPDIR='{ws}/nowhere'), tmp_file=env(TMPDIR='{ws}/thesis.txt'), endpoint=env(HF_ENDPOINT='nonsense'), token=env(HF_TOKEN='\n'),
    threads=env(OMP_NUM_THREADS='many'), columns=env(COLUMNS='0', LINES='-1'), no_path=env(PATH=''), mpl=env(MPLCONFIGDIR='/dev/null', MPLBACKEND='TkAgg'),
    no_stdin=closed(0), no_stdout=closed(1), no_stderr=closed(2), no_streams=closed(0,1,2), reader_left=gone, full=full,
    ascii=encoded('ascii'), latin=encoded('latin-1'), windows=encoded('cp1252'), japanese=encoded('shift_jis'),
    umask=lambda ws: os.umask(0o077), umask_all=lambda ws: os.umask(0o777), still=clock('still'), back=clock('back'), zero=clock('zero'), far=clock('far'),
    read_only=read_only('.'), read_only_input=read_only('base','tasks'),
    mb16=little(2**24), mb64=little(2**26), mb256=little(2**28), gb=little(2**30), left=left, files=bounded('RLIMIT_NOFILE', 24), stack=bounded('RLIMIT_STACK', 2**20), space=moved_to('a b'), odd_name=moved_to("o'd;$(x)\n\"%s{y}"),
    not_utf8=moved_to(os.fsdecode(b'w\xff')), deep=moved_to('/'.join(['d'*120]*12)), windows_name=moved_to('con'), quoted=moved_to('[a]*?'), dash=moved_to('-x'))

def around(world):
    "Each command in each surrounding"
    for n,f in AROUND.items():
        for c in ORDER: yield surrounded(world, c, n, f)

def surrounded(world, c, n, f):
    def do():
        with world.copy(f'before_{c}') as ws:
            r = run(lambda: (f(ws), call(c)), ws, 90)
            at = next(ws.rglob('thesis.txt')).parent
            if r.rc and not r.err: return ('right' if n in ('no_stderr','no_streams') else 'wrong'),r # nobody could be told
            return world.judge(at, c, r),r
    return Fault('around', c, n, do)

# ---- swapped: a file in place of another one, each whole and with its checksum
def swapped(world):
    "Files of one kind that took each other's place, and each file's own place taken by one of another run"
    from fault_kinds import MADE, READS, files_of
    for c in READS:
        fs = {p:p.read_bytes() for p in files_of(world, c) if p.name!='gen.sum'}
        for p in fs:
            others = [q for q in fs if q.suffix==p.suffix and q!=p and fs[q]!=fs[p]]
            for q in world.rng.sample(others, min(3, len(others))):
                a,b = (x.relative_to(world.ws).as_posix() for x in (p,q))
                yield instead(world, c, a, b, a.split('/')[0] not in MADE)

def instead(world, c, a, b, mine):
    def do():
        with world.copy() as ws:
            shutil.copyfile(ws/b, ws/a)
            r = run(lambda: call(c), ws)
            return world.judge(ws, c, r, other_ok=mine),r
    return Fault('swapped', c, f'{b} as {a}', do)

# ---- shell: command lines
def lines():
    "Odd command lines of each command"
    from dnd_nb.cli import COMMANDS
    names = [n for n in COMMANDS if n!='explore']
    ends = ([], ['--help'], ['-h'], ['--version'], ['--'], ['--nope'], ['--nope','1'], ['--seed'], ['--seed=1=2'], ['--out'], ['--out','a','--out','b'], ['-'],
        ['--device','nope'], ['--device=cuda:99'], ['x','y','z'], [''], ['\udce4'], ['a\nb'], ['--ou','x'], ['-o','x'], ['@x'], ['--base'], ['--generator'],
        ['--generator','.'], ['--generator','base'], ['--generator','no/such'], ['--generator','a/b/c'], ['--examples','x'], ['--k','1e3'], ['--tiny'])
    for n in names:
        for e in ends: yield [n, *e]
    for e in ([], ['x'], ['--help'], ['--version'], ['-V'], ['--nope'], [''], ['GENERATE'], ['generate', 'examples.jsonl', 'base'], ['\udce4']): yield e

def shell(world):
    "Command lines that nobody should type, through `dnd`"
    for argv in lines(): yield typed(world, argv)

SLOW = ('demo','study','bench','collect','train') # without options they run for minutes, or fetch a base model
GOOD = {'--','--tiny','--out','a','b'} # with these, too; with others of `lines` they have to say what is wrong
def typed(world, argv):
    def do():
        with world.copy('whole') as ws:
            def f():
                from dnd_nb.cli import dnd
                from faults import made_small
                made_small()
                sys.argv = ['dnd', *argv]
                dnd()
            r = run(f, ws, 60)
            if r.hung and argv[:1] and argv[0] in SLOW and {*argv[1:]}<=GOOD: return 'right',r
            return world.judge(ws, 'verify', r, other_ok=True),r
    return Fault('shell', (argv or ['dnd'])[0].encode('ascii','replace').decode() or 'dnd', ascii(' '.join(argv)), do)

MORE = dict(around=around, swapped=swapped, shell=shell)
