// The one function that the headers of g++ 11 and newer call and libstdc++ before GLIBCXX_3.4.29 does not
// have: what an allocator calls when asked for more than the address space. Defined here it is resolved
// inside the addon. Without exceptions there is nothing to do but stop, as libstdc++'s own would.
#include <bits/functexcept.h>

#include "base/assert.h"

#if defined(__GLIBCXX__)
namespace std {
void __throw_bad_array_new_length() { MR_UNREACHABLE(); }
}  // namespace std
#endif
