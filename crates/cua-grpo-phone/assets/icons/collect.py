"""Collects the icons that the sources name into icons.txt: `name path` a line, absolute M L Q C Z, in a square of 24.

python3 collect.py FOLDER_OF_THE_NPM_PACKAGE_@material-design-icons/svg     (needs fonttools)
"""
import re,os,sys,glob
from fontTools.svgLib.path import parse_path
from fontTools.pens.recordingPen import RecordingPen
import xml.etree.ElementTree as ET
P=os.path.join(os.path.dirname(os.path.abspath(__file__)),'../../')
S=os.path.join(sys.argv[1],'')
names=set()
for f in glob.glob(P+'src/**/*.rs',recursive=True):
    names|=set(re.findall(r'"([a-z0-9_]+)"',open(f).read()))
def num(v):
    s=f'{v:.2f}'.rstrip('0').rstrip('.')
    if s=='-0': s='0'
    return s
def circle(cx,cy,r): return f'M{cx-r} {cy}a{r} {r} 0 1 0 {2*r} 0a{r} {r} 0 1 0 {-2*r} 0z'
out=[]
for n in sorted(names):
    folder,base=('outlined',n[:-2]) if n.endswith('_o') else ('filled',n)
    p=f'{S}{folder}/{base}.svg'
    if not os.path.exists(p): continue
    ds=''
    for e in ET.parse(p).getroot().iter():
        t=e.tag.split('}')[1]
        if e.get('fill')=='none': continue
        if t=='path': ds+=e.get('d')
        elif t=='circle': ds+=circle(float(e.get('cx')),float(e.get('cy')),float(e.get('r')))
        elif t=='rect':
            x,y,w,h=(float(e.get(k) or 0) for k in('x','y','width','height')); ds+=f'M{x} {y}h{w}v{h}h{-w}z'
        elif t=='ellipse':
            ds+=circle(float(e.get('cx')),float(e.get('cy')),float(e.get('rx')))
        elif t=='polygon':
            ds+='M'+e.get('points')+'z'
    pen=RecordingPen()
    parse_path(ds,pen)
    o=''
    for op,a in pen.value:
        if op=='moveTo': o+='M'+' '.join(num(v) for p in a for v in p)
        elif op=='lineTo': o+='L'+' '.join(num(v) for p in a for v in p)
        elif op=='curveTo': o+='C'+' '.join(num(v) for p in a for v in p)
        elif op=='qCurveTo': 
            assert len(a)==2; o+='Q'+' '.join(num(v) for p in a for v in p)
        elif op in('closePath','endPath'): o+='Z' if op=='closePath' else ''
    out.append(n+' '+o)
open(P+'assets/icons/icons.txt','w').write('\n'.join(out)+'\n')
print(len(out),sum(map(len,out)))
