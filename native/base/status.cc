// Names of the codes, made from the one list. See status.h.
#include "base/status.h"

namespace millrace {

const char* code_name(Code code) {
  switch (code) {
#define MR_STATUS_CODE(name, number, suffix) \
  case Code::name:                           \
    return #name;
#include "base/status-codes.inc"
#undef MR_STATUS_CODE
  }
  return "unknown";
}

}  // namespace millrace
