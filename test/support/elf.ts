// A reader of 64-bit little-endian ELF files, as far as the symbol floor needs one: the machine, the symbol
// versions asked of other libraries, undefined symbols, needed libraries and the flags of the dynamic
// section. Own code rather than readelf, so that the test runs where binutils is not installed.

const sectionDynsym = 11;
const sectionDynamic = 6;
const sectionVerneed = 0x6fff_fffe;

const tagNeeded = 1;
const tagFlags1 = 0x6fff_fffb;

export interface ElfFile {
  /** e_machine: 62 is x86-64, 183 is aarch64. */
  readonly machine: number;
  /** Libraries asked for at load time. */
  readonly needed: readonly string[];
  /** Versions such as GLIBC_2.14 that other libraries must define. */
  readonly versions: readonly string[];
  /** Names that other libraries must define, weak ones included. */
  readonly undefinedSymbols: readonly string[];
  /** Names that other libraries could be given from here. */
  readonly definedSymbols: readonly string[];
  /** DT_FLAGS_1, 0 where there is none. */
  readonly flags1: number;
}

interface Section {
  readonly type: number;
  readonly bytes: Buffer;
  readonly link: number;
  readonly info: number;
}

/** Throws RangeError for anything that is not a 64-bit little-endian ELF file. */
export function parseElf(file: Buffer): ElfFile {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f45_4c46 || file[4] !== 2 || file[5] !== 1) {
    throw new RangeError('not a 64-bit little-endian ELF file');
  }
  const sections = readSections(file);
  const dynamic = readDynamic(sections);
  return {
    machine: file.readUInt16LE(18),
    needed: dynamic.needed,
    versions: readVersions(sections),
    undefinedSymbols: readSymbols(sections, (section) => section === 0),
    definedSymbols: readSymbols(sections, (section) => section !== 0),
    flags1: dynamic.flags1,
  };
}

function readSections(file: Buffer): Section[] {
  const start = number64(file, 40);
  const size = file.readUInt16LE(58);
  return Array.from({ length: file.readUInt16LE(60) }, (_, index) => {
    const at = start + index * size;
    const type = file.readUInt32LE(at + 4);
    const offset = number64(file, at + 24);
    // A section of type 8 (.bss) has a length but no bytes.
    const length = type === 8 ? 0 : number64(file, at + 32);
    if (offset + length > file.length) throw new RangeError(`section ${index} leaves the file`);
    return {
      type,
      bytes: file.subarray(offset, offset + length),
      link: file.readUInt32LE(at + 40),
      info: file.readUInt32LE(at + 44),
    };
  });
}

function sectionOf(sections: readonly Section[], type: number): [Section, Buffer] | undefined {
  const section = sections.find((candidate) => candidate.type === type);
  if (section === undefined) return undefined;
  const names = sections[section.link]?.bytes;
  if (names === undefined) throw new RangeError(`section of type ${type} has no string table`);
  return [section, names];
}

function readDynamic(sections: readonly Section[]): { needed: string[]; flags1: number } {
  const [section, names] = sectionOf(sections, sectionDynamic) ?? [];
  const needed: string[] = [];
  let flags1 = 0;
  if (section === undefined || names === undefined) return { needed, flags1 };
  for (let at = 0; at + 16 <= section.bytes.length; at += 16) {
    const tag = number64(section.bytes, at);
    const value = number64(section.bytes, at + 8);
    if (tag === tagNeeded) needed.push(textAt(names, value));
    if (tag === tagFlags1) flags1 = value;
  }
  return { needed, flags1 };
}

// .gnu.version_r is a list of libraries, each with a list of versions; both are chained by byte distances.
function readVersions(sections: readonly Section[]): string[] {
  const [section, names] = sectionOf(sections, sectionVerneed) ?? [];
  const versions = new Set<string>();
  if (section === undefined || names === undefined) return [];
  let library = 0;
  for (let left = section.info; left > 0; left -= 1) {
    let version = library + section.bytes.readUInt32LE(library + 8);
    for (let more = section.bytes.readUInt16LE(library + 2); more > 0; more -= 1) {
      versions.add(textAt(names, section.bytes.readUInt32LE(version + 8)));
      version += section.bytes.readUInt32LE(version + 12);
    }
    library += section.bytes.readUInt32LE(library + 12);
  }
  return [...versions].sort();
}

function readSymbols(
  sections: readonly Section[],
  isWanted: (definedIn: number) => boolean,
): string[] {
  const [section, names] = sectionOf(sections, sectionDynsym) ?? [];
  const found: string[] = [];
  if (section === undefined || names === undefined) return found;
  // The first symbol is the null symbol.
  for (let at = 24; at + 24 <= section.bytes.length; at += 24) {
    if (isWanted(section.bytes.readUInt16LE(at + 6))) {
      found.push(textAt(names, section.bytes.readUInt32LE(at)));
    }
  }
  return found.sort();
}

function textAt(names: Buffer, offset: number): string {
  const end = names.indexOf(0, offset);
  if (end < 0) throw new RangeError('a name leaves its string table');
  return names.toString('latin1', offset, end);
}

function number64(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset) + bytes.readUInt32LE(offset + 4) * 0x1_0000_0000;
}
