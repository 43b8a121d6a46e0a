// SipHash-2-4-128. See siphash.h.
#include "base/siphash.h"

#include "base/endian.h"

namespace millrace {

namespace {

struct State {
  uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void compress(uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
  uint64_t finish() {
    for (int i = 0; i < 4; i++) round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

}  // namespace

KeyHash siphash_128(const HashKey& key, Bytes message) {
  const Bytes key_bytes(key.data(), key.size());
  const uint64_t k0 = load_le<uint64_t>(key_bytes, 0);
  const uint64_t k1 = load_le<uint64_t>(key_bytes, 8);
  // The initial constants spell "somepseudorandomlygeneratedbytes"; 0xee and 0xdd select 128 bits.
  State state{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d ^ 0xee, k0 ^ 0x6c7967656e657261,
              k1 ^ 0x7465646279746573};
  size_t at = 0;
  for (; at + 8 <= message.size(); at += 8) state.compress(load_le<uint64_t>(message, at));
  uint64_t last = static_cast<uint64_t>(message.size()) << 56;
  for (size_t i = 0; at + i < message.size(); i++) {
    last |= static_cast<uint64_t>(message[at + i]) << (8 * i);
  }
  state.compress(last);
  KeyHash hash;
  state.v2 ^= 0xee;
  hash.low = state.finish();
  state.v1 ^= 0xdd;
  hash.high = state.finish();
  return hash;
}

}  // namespace millrace
