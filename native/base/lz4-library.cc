// LZ4 itself, as its authors wrote it: the library's one source file, compiled here so that it needs no
// build of its own. Its symbols stay inside the addon: Node or another addon may hold another LZ4. Where
// the file comes from is in lz4.cjs; nobody but lz4-block.cc calls it.
#define LZ4LIB_VISIBILITY
#include <lz4.c>  // NOLINT(bugprone-suspicious-include)
