"""Writes the Parquet files of this folder, and beside each the rows it holds: <name>.jsonl.

Run by hand with pyarrow 25.0.1; the files are kept, so that tests need no Python. A twin has a row a line, each a list
of cells in the columns' order. Bytes are {"hex": ...}; decimals, times, NaN and the infinities are texts.
"""
import base64, datetime, decimal, json, os, uuid
import pyarrow as pa, pyarrow.parquet as pq, pyarrow.parquet.encryption as pe

HERE = os.path.dirname(os.path.abspath(__file__))
D = decimal.Decimal
DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def moment(ticks, unit):
    digits = DIGITS[unit]
    seconds, rest = divmod(ticks, 10**digits)
    at = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    return f"{at.year:04d}-{at:%m-%d %H:%M:%S}" + (f".{rest:0{digits}d}" if digits else "")


def cell(v, t):
    if isinstance(t, pa.BaseExtensionType):
        if isinstance(t, pa.UuidType):
            return None if not v.is_valid else str(v.as_py())
        return None if not v.is_valid else cell(v.value, t.storage_type)
    if pa.types.is_dictionary(t):
        return cell(pa.scalar(v.as_py(), t.value_type), t.value_type)
    if pa.types.is_struct(t):
        return None if not v.is_valid else {t.field(i).name: cell(v[i], t.field(i).type) for i in range(t.num_fields)}
    if pa.types.is_map(t):
        if not v.is_valid:
            return None
        key = lambda k: k if isinstance(k, str) else str(k).lower() if isinstance(k, bool) else moment(int(k.timestamp()) * 10**6, "us") if isinstance(k, datetime.datetime) else k.decode("latin1") if isinstance(k, bytes) else str(k)
        return {key(pair["key"].as_py()): cell(pair["value"], t.item_type) for pair in v.values}
    if pa.types.is_nested(t):
        return None if not v.is_valid else [cell(e, t.value_type) for e in v.values]
    if v.as_py() is None if not (pa.types.is_timestamp(t) or pa.types.is_time(t) or pa.types.is_duration(t) or pa.types.is_date(t)) else not v.is_valid:
        return None
    if pa.types.is_timestamp(t):
        return moment(v.value, t.unit)
    if pa.types.is_time(t):
        return moment(v.value, t.unit)
    if pa.types.is_date(t):
        return v.as_py().isoformat().zfill(10)
    if pa.types.is_duration(t):
        return v.value
    if pa.types.is_decimal(t):
        with decimal.localcontext(prec=100):
            text = format(v.as_py(), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if pa.types.is_binary(t) or pa.types.is_large_binary(t) or pa.types.is_fixed_size_binary(t):
        return {"hex": v.as_py().hex()}
    if pa.types.is_floating(t):
        x = float(v.as_py())
        return str(x) if x != x or x in (float("inf"), float("-inf")) else x
    return v.as_py()


def twin(name, t):
    rows = [[cell(column[i], column.type) for column in t.columns] for i in range(t.num_rows)]
    with open(os.path.join(HERE, name + ".jsonl"), "w") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def w(name, t, row_groups=None, **k):
    path = os.path.join(HERE, name + ".parquet")
    if row_groups == 0:
        with pq.ParquetWriter(path, t.schema):
            pass
    else:
        pq.write_table(t, path, **k)
    twin(name, t)


n = 30
ints=[None if i%7==3 else i*1000003 for i in range(n)]
base=pa.table({'id':pa.array(range(n),pa.int64()),'i':pa.array(ints,pa.int64()),'s':pa.array([None if i%5==2 else f'name {i%4} ü' for i in range(n)]),'d':pa.array([i/3 for i in range(n)])})
for c in ['none','snappy','gzip','zstd','lz4','brotli']:
    for v in ['1.0','2.0']:
        w(f'codec-{c}-page-v{v[0]}', base, compression=c, data_page_version=v)
enc=pa.table({'i32':pa.array([None if i%6==1 else i*i-50 for i in range(300)],pa.int32()),'i64':pa.array([(-1)**i*2**(i%63) for i in range(300)],pa.int64()),
 's':pa.array([f'prefix {i//3:05d}' for i in range(300)]),'b':pa.array([b'' if i%9==0 else bytes([i%256])*(i%11) for i in range(300)],pa.binary()),
 'f':pa.array([i/7 for i in range(300)],pa.float32()),'g':pa.array([None if i%4==0 else i/7 for i in range(300)],pa.float64()),'x':pa.array([bytes([i%256,1,2,3]) for i in range(300)],pa.binary(4)), 't':pa.array([bool(i%3) for i in range(300)])})
def e(name,cols,**k): 
    w('encoding-'+name, enc.select(list(cols)), use_dictionary=False, column_encoding=cols, compression='none', **k)
e('delta-binary-packed',{'i32':'DELTA_BINARY_PACKED','i64':'DELTA_BINARY_PACKED'})
e('delta-length-byte-array',{'s':'DELTA_LENGTH_BYTE_ARRAY','b':'DELTA_LENGTH_BYTE_ARRAY'})
e('delta-byte-array',{'s':'DELTA_BYTE_ARRAY','b':'DELTA_BYTE_ARRAY','x':'DELTA_BYTE_ARRAY'})
e('byte-stream-split',{'f':'BYTE_STREAM_SPLIT','g':'BYTE_STREAM_SPLIT','i32':'BYTE_STREAM_SPLIT','i64':'BYTE_STREAM_SPLIT','x':'BYTE_STREAM_SPLIT'})
e('plain',{c:'PLAIN' for c in ['i32','i64','s','b','f','g','x','t']})
e('rle-boolean',{'t':'RLE'}, data_page_version='2.0')
w('encoding-dictionary', enc, use_dictionary=True, compression='none')
w('encoding-dictionary-fallback', enc, use_dictionary=True, dictionary_pagesize_limit=200, data_page_size=300, write_batch_size=20)
w('page-crc', base, write_page_checksum=True, compression='snappy')
w('page-index', base, write_page_index=True, data_page_size=50, write_batch_size=4)
w('many-row-groups', enc.select(['i32', 's']), row_group_size=7)
w('empty-no-rows', enc.slice(0,0))
w('empty-no-row-groups', enc.slice(0,0), row_groups=0)
# types
def dec(p,s,vals,name,**k): w(name, pa.table({'x':pa.array([None if v is None else D(v) for v in vals], pa.decimal128(p,s) if p<=38 else pa.decimal256(p,s))}), **k)
dec(9,2,['1234567.89','-1234567.89',None,'0.01'],'decimal-int32',store_decimal_as_integer=True)
dec(18,4,['12345678901234.5678','-0.0001',None],'decimal-int64',store_decimal_as_integer=True)
dec(9,2,['1234567.89','-1234567.89',None],'decimal-fixed-9')
dec(38,10,['1234567890123456789012345678.0123456789','-1.5',None],'decimal-fixed-38')
dec(76,0,['9'*76,'-'+'9'*76,None],'decimal-fixed-76')
dec(60,20,['9'*40+'.'+'1'*20,'-1',None],'decimal-fixed-60')
ts=[0,1,-1,1700000000123456789,-2208988800000000000,4102444800000000000,None]
for unit,div in [('ms',10**6),('us',10**3),('ns',1),]:
    for tz in [None,'UTC','Europe/Berlin']:
        w(f"timestamp-{unit}-{'local' if tz is None else tz.replace('/','-')}", pa.table({'x':pa.array([None if v is None else v//div for v in ts],pa.timestamp(unit,tz))}), version='2.6')
w('timestamp-far', pa.table({'x':pa.array([-62135596800000000,253402300799999999,None],pa.timestamp('us','UTC')),'m':pa.array([-62135596800000,253402300799999,None],pa.timestamp('ms','UTC'))}))
w('timestamp-int96', pa.table({'x':pa.array([0,1,-1,1700000000123456789,-2208988800000000000,4102444800000000000,None],pa.timestamp('ns'))}), use_deprecated_int96_timestamps=True)
w('timestamp-int96-far', pa.table({'x':pa.array([datetime.datetime(9999,12,31),datetime.datetime(1,1,1),None],pa.timestamp('us'))}), use_deprecated_int96_timestamps=True)
w('time', pa.table({'ms':pa.array([0,86399999,None],pa.time32('ms')),'us':pa.array([0,86399999999,None],pa.time64('us')),'ns':pa.array([0,86399999999999,None],pa.time64('ns'))}))
w('date', pa.table({'x':pa.array([0,-1,20000,-25567,120529,None],pa.date32())}))
w('date-far', pa.table({'x':pa.array([-719162,2932896,None],pa.date32())}))
w('half-float', pa.table({'x':pa.array([0.0,1.5,-65504.0,float('inf'),float('nan'),None],pa.float16())}))
w('uuid', pa.table({'x':pa.array([uuid.UUID(int=i*2**100+5).bytes for i in range(4)]+[None],pa.uuid())}))
w('json', pa.table({'x':pa.array(['{"a":1}',None,'[]'],pa.json_())}))
w('integers', pa.table({str(t):pa.array([lo,hi,None],t) for t,lo,hi in [(pa.int8(),-128,127),(pa.int16(),-32768,32767),(pa.int32(),-2**31,2**31-1),(pa.int64(),-2**63,2**63-1),(pa.uint8(),0,255),(pa.uint16(),0,65535),(pa.uint32(),0,2**32-1),(pa.uint64(),0,2**64-1)]}))
w('floats', pa.table({'f':pa.array([0.0,-0.0,1e38,float('nan'),float('inf'),None],pa.float32()),'d':pa.array([5e-324,-0.0,1e308,float('nan'),float('-inf'),None])}))
w('bool', pa.table({'x':pa.array([True,False,None])}))
w('binary', pa.table({'b':pa.array([b'\x00\xff',b'',None],pa.binary()),'l':pa.array([b'\xff\xfe',b'',None],pa.large_binary()),'u':pa.array(['ü\x00','',None],pa.large_string()),'f':pa.array([b'\xff\x00\x01',b'abc',None],pa.binary(3)),'v':pa.array(['long string view value','',None],pa.string_view())}))
w('dictionary', pa.table({'x':pa.array(['a','b',None,'a']).dictionary_encode(),'y':pa.array([1,2,None,1]).dictionary_encode()}))
w('null', pa.table({'x':pa.nulls(3),'y':pa.array([1,2,3])}))
w('duration', pa.table({'x':pa.array([1,2,None],pa.duration('us'))}))
w('required', pa.table([pa.array([1,2,3]),pa.array(['a','b','c'])],schema=pa.schema([pa.field('a',pa.int64(),False),pa.field('b',pa.string(),False)])))
# nested
S=pa.struct([('a',pa.int64()),('b',pa.string()),('big',pa.uint64())])
w('nested-struct', pa.table({'id':pa.array(range(4)),'s':pa.array([{'a':1,'b':'x','big':2**64-1},{'a':None,'b':'y','big':1},None,{'a':-9007199254740993,'b':None,'big':None}],S)}))
w('nested-struct-required', pa.table([pa.array([{'a':1,'b':'x','big':2**64-1},{'a':None,'b':'y','big':1}],S)],schema=pa.schema([pa.field('s',S,False)])))
w('nested-list', pa.table({'id':pa.array(range(5)),'l':pa.array([[1,2,None],[],None,[3],[None]],pa.list_(pa.int64())),'t':pa.array([['a','ü"'],[],None,[None],['x']],pa.list_(pa.string()))}))
w('nested-list-of-struct', pa.table({'id':pa.array(range(5)),'l':pa.array([[{'a':1,'b':'x','big':3}],[],None,[None,{'a':2,'b':None,'big':None}],[{'a':5,'b':'z','big':0}]*3],pa.list_(S))}))
w('nested-list-of-list', pa.table({'l':pa.array([[[1,2],[],None],[],None,[[None]]],pa.list_(pa.list_(pa.int32())))}))
w('nested-map', pa.table({'m':pa.array([[('k',1),('K',2)],[],None,[('ü"',None)]],pa.map_(pa.string(),pa.int64()))}))
w('nested-map-int-key', pa.table({'m':pa.array([[(1,'a'),(2,None)],[],None],pa.map_(pa.int32(),pa.string()))}))
w('nested-map-of-struct', pa.table({'m':pa.array([[('k',{'a':1,'b':'x','big':5}),('n',None)],[],None],pa.map_(pa.string(),S))}))
w('nested-map-of-list', pa.table({'m':pa.array([[('k',[1,2]),('n',None)],[],None],pa.map_(pa.string(),pa.list_(pa.int64())))}))
w('nested-struct-of-all', pa.table({'s':pa.array([{'l':[1,2],'m':[('a',D('1.10'))],'t':{'d':datetime.date(2020,1,2),'ts':datetime.datetime(2020,1,2,3,4,5,678901),'u':True}},{'l':None,'m':None,'t':None},None],pa.struct([('l',pa.list_(pa.int64())),('m',pa.map_(pa.string(),pa.decimal128(10,2))),('t',pa.struct([('d',pa.date32()),('ts',pa.timestamp('us','UTC')),('u',pa.bool_())]))]))}))
w('nested-case', pa.table({'s':pa.array([{'Name':'A','name':'a'}],pa.struct([('Name',pa.string()),('name',pa.string())]))}))
w('nested-one-field', pa.table({'s':pa.array([{'a':1},None],pa.struct([('a',pa.int64())]))}))
w('nested-fixed-list', pa.table({'l':pa.array([[1,2],None,[3,4]],pa.list_(pa.int32(),2))}))
w('nested-dotted', pa.table({'s':pa.array([{'a.b':1,'c d`\'"\\':'q'}],pa.struct([('a.b',pa.int64()),('c d`\'"\\',pa.string())]))}))

F=[datetime.datetime(9999,12,31),datetime.datetime(1,1,1),datetime.datetime(2024,1,2,3,4,5,678901),None]
w('int96-far-no-hint', pa.table({'x':pa.array(F,pa.timestamp('us'))}), use_deprecated_int96_timestamps=True, store_schema=False)
w('int96-nested', pa.table({'s':pa.array([{'t':datetime.datetime(2024,1,2)},None],pa.struct([('t',pa.timestamp('us'))]))}), use_deprecated_int96_timestamps=True, store_schema=False)
w('duplicate-names', pa.table([pa.array([1,2]),pa.array(['a','b']),pa.array([3,4])],names=['x','x','y']))
w('case-names', pa.table([pa.array([1,2]),pa.array(['a','b'])],names=['x','X']))
w('empty-name', pa.table([pa.array([1,2]),pa.array(['a','b'])],names=['','y']))
w('dotted', pa.table([pa.array([1,2]),pa.array([{'b':7},{'b':8}],pa.struct([('b',pa.int64())]))],names=['a.b','a']))
w('list-two-level', pa.table({'l':pa.array([[1,2,None],[],None],pa.list_(pa.int64()))}), use_compliant_nested_type=False)
w('map-decimal-key', pa.table({'m':pa.array([[(1.5,1)],[]],pa.map_(pa.float64(),pa.int64()))}))
w('map-bool-key', pa.table({'m':pa.array([[(True,1)],[]],pa.map_(pa.bool_(),pa.int64()))}))
w('map-date-key', pa.table({'m':pa.array([[(datetime.date(2020,1,1),1)],[]],pa.map_(pa.date32(),pa.int64()))}))
w('map-struct-key', pa.table({'m':pa.array([[({'a':1},1)],[]],pa.map_(pa.struct([('a',pa.int64())]),pa.int64()))}))
w('map-binary-key', pa.table({'m':pa.array([[(b'k',1)],[]],pa.map_(pa.binary(),pa.int64()))}))
w('map-ts-key', pa.table({'m':pa.array([[(datetime.datetime(2020,1,1),1)],[]],pa.map_(pa.timestamp('us'),pa.int64()))}))
w('struct-required-leaf', pa.table([pa.array([{'a':1},None],pa.struct([pa.field('a',pa.int64(),False)]))],names=['s']))
w('list-required-struct', pa.table([pa.array([[{'a':1}],None,[]],pa.list_(pa.field('element',pa.struct([pa.field('a',pa.int64(),False),pa.field('b',pa.int64())]),False)))],names=['s']))
w('list-required-leaf', pa.table([pa.array([[1],None,[]],pa.list_(pa.field('element',pa.int64(),False)))],names=['s']))
t=pa.int64()
v=1
for i in range(40): t=pa.struct([('f',t)]); v={'f':v}
w('deep-struct-40', pa.table({'s':pa.array([v,None],t)}))
t=pa.int64(); v=1
for i in range(20): t=pa.list_(t); v=[v]
w('deep-list-20', pa.table({'s':pa.array([v,None],t)}))
w('f16-list', pa.table({'s':pa.array([[1.5,None]],pa.list_(pa.float16()))}))
w('decimal-list', pa.table({'s':pa.array([[1,None]],pa.list_(pa.decimal128(20,3)))}))
w('time-list', pa.table({'s':pa.array([[1,None]],pa.list_(pa.time64('us'))),'d':pa.array([[-719162,None]],pa.list_(pa.date32()))}))
w('uuid-no-hint', pa.table({'x':pa.array([b'0123456789abcd\0\0',None],pa.uuid())}),store_schema=False)
w('time-no-hint', pa.table({'x':pa.array([1,None],pa.time32('ms')),'y':pa.array([1,None],pa.timestamp('ns'))}),store_schema=False)
w('float16-no-hint', pa.table({'x':pa.array([1.5,None],pa.float16())}),store_schema=False)
w('fixed-trailing-zeros', pa.table({'x':pa.array([b'a\0\0',b'abc',None],pa.binary(3))}))
w('nul-null-nested', pa.table({'s':pa.array([{'n':None,'a':1}],pa.struct([('n',pa.null()),('a',pa.int64())]))}))
w('byte-stream-split-decimal', pa.table({'x':pa.array([1,2,None],pa.decimal128(20,2))}),use_dictionary=False,column_encoding={'x':'BYTE_STREAM_SPLIT'})
w('delta-decimal', pa.table({'x':pa.array([1,2,None],pa.decimal128(9,2))}),use_dictionary=False,column_encoding={'x':'DELTA_BINARY_PACKED'},store_decimal_as_integer=True)
w('delta-ts', pa.table({'x':pa.array([1,2,None],pa.timestamp('us')),'d':pa.array([1,2,None],pa.date32())}),use_dictionary=False,column_encoding={'x':'DELTA_BINARY_PACKED','d':'DELTA_BINARY_PACKED'})

# Encrypted: no twins, they are refused.
class Kms(pe.KmsClient):
    def __init__(s,c): super().__init__()
    def wrap_key(s,k,m): return base64.b64encode(k)
    def unwrap_key(s,k,m): return base64.b64decode(k)
f=pe.CryptoFactory(lambda c: Kms(c))
for name,pt in [('encrypted-footer',False),('encrypted-columns-plaintext-footer',True)]:
    cfg=pe.EncryptionConfiguration(footer_key='f', column_keys={'c':['s']}, plaintext_footer=pt)
    props=f.file_encryption_properties(pe.KmsConnectionConfig(),cfg)
    with pq.ParquetWriter(os.path.join(HERE, name + '.parquet'), base.schema, encryption_properties=props) as wr: wr.write_table(base)
