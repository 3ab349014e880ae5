import { createServer } from "node:http"; import { mkdtempSync, rmSync, createReadStream, statSync, writeFileSync, openSync, writeSync, closeSync } from "node:fs"; import { join } from "node:path"; import { execFileSync } from "node:child_process";
import { openZip, unarchiveTar } from "../src/index.ts"; import { spool } from "@sluice/streams";
const dir = mkdtempSync("/tmp/rng-");
let s=1; const row=(i:number)=>{s=(Math.imul(s,1664525)+1013904223)>>>0;return `${i},name ${s%9973},${s/7},2026-01-0${1+s%9}\n`};
for (let f=0;f<20;f++){const rows:string[]=[];for(let i=0;i<300000;i++)rows.push(row(i));writeFileSync(join(dir,`f${f}.csv`),rows.join(""));}
execFileSync("/bin/sh",["-c",`cd ${dir} && zip -q -1 all.zip f*.csv && tar cf all.tar f*.csv`]);
const path=join(dir,"all.zip"), size=statSync(path).size, raw=statSync(join(dir,"all.tar")).size; console.log("zip",size,"tar",raw);
let reqs=0, sent=0; const RTT=30;
const server=createServer(async(q,r)=>{reqs++;await new Promise(f=>setTimeout(f,RTT));const m=/bytes=(\d+)-(\d+)/.exec(q.headers.range??"");const a=m?+m[1]!:0,b=m?+m[2]!:size-1;r.writeHead(206,{"content-length":b-a+1});const st=createReadStream(path,{start:a,end:b,highWaterMark:1<<20});try{for await(const c of st){sent+=c.length;if(!r.write(c))await new Promise((f,j)=>{r.once("drain",f);r.once("close",()=>j(new Error("x")))});await new Promise(f=>setTimeout(f,10))}r.end()}catch{st.destroy()}}).listen(0,"127.0.0.1");
await new Promise(f=>server.once("listening",f)); const url=`http://127.0.0.1:${(server.address() as any).port}/`;
const remote={size,async *readRange(a:number,b:number){const ac=new AbortController();try{const r=await fetch(url,{headers:{range:`bytes=${a}-${b-1}`},signal:ac.signal});yield* r.body as any}finally{ac.abort()}}};
const drain=async(it:any)=>{let n=0;for await(const e of it)for await(const c of e.bytes)n+=c.length;return n};
for (const [label,wants] of [["all",()=>true],["last",(n:string)=>n==="f9.csv"],["first",(n:string)=>n==="f0.csv"]] as any) for (let k=0;k<3;k++) {
 reqs=0;sent=0;let t=performance.now();let n=await drain(openZip(remote,{wants}));console.log(label,"ranges",(performance.now()-t)|0,"ms",reqs,"requests",(sent/1e6)|0,"MB sent",n);
 reqs=0;sent=0;t=performance.now();{await using sp=await spool(remote.readRange(0,size),{directory:dir,maxSpoolBytes:2**40,toError:(m:any)=>new Error(m) as any});n=await drain(openZip(sp,{wants}));}console.log(label,"spool ",(performance.now()-t)|0,"ms",reqs,"requests",(sent/1e6)|0,"MB sent, disk",(size/1e6)|0);
}
const local={size,readRange:(a:number,b:number)=>createReadStream(path,{start:a,end:b-1,highWaterMark:256*1024}) as any};
for(let k=0;k<3;k++){let t=performance.now();let n=await drain(openZip(local));let d=performance.now()-t;console.log("openZip local",(n/1e3/d)|0,"MB/s");t=performance.now();execFileSync("/bin/sh",["-c",`unzip -p ${path} >/dev/null`]);d=performance.now()-t;console.log("unzip -p",(n/1e3/d)|0,"MB/s");t=performance.now();n=await drain(unarchiveTar()(createReadStream(join(dir,"all.tar"),{highWaterMark:256*1024})));d=performance.now()-t;console.log("unarchiveTar",(n/1e3/d)|0,"MB/s");t=performance.now();execFileSync("/bin/sh",["-c",`tar xOf ${dir}/all.tar >/dev/null`]);d=performance.now()-t;console.log("tar xO",(n/1e3/d)|0,"MB/s");}
server.closeAllConnections();server.close();rmSync(dir,{recursive:true});
