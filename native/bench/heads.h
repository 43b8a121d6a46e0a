// The stored response that the benchmarks use: a package file as a registry sends it, with nine fields. Its
// twin for JavaScript is bench/micro/samples.ts.
#pragma once

#include <string>
#include <vector>

#include "layout/head.h"

namespace millrace::bench {

inline std::vector<uint8_t> sample_head(uint64_t body_length) {
  static constexpr char kFields[] =
      "Date: Fri, 15 Jan 2027 08:00:00 GMT\r\n"
      "Content-Type: application/octet-stream\r\n"
      "Cache-Control: public, max-age=31536000, immutable\r\n"
      "ETag: \"5f2b51ca-3c0f1\"\r\n"
      "Last-Modified: Tue, 05 Jan 2027 10:11:12 GMT\r\n"
      "Accept-Ranges: bytes\r\n"
      "Server: origin\r\n"
      "X-Content-Type-Options: nosniff\r\n"
      "Access-Control-Allow-Origin: *\r\n";
  static constexpr char kTag[] = "\"5f2b51ca-3c0f1\"";
  static constexpr char kReason[] = "OK";
  const auto text = [](const char* characters, size_t length) {
    return Bytes(reinterpret_cast<const uint8_t*>(characters), length);
  };
  HeadView head;
  head.status = 200;
  head.flags = kHeadStrongValidator | kHeadImmutable | kHeadAcceptsRanges;
  head.response_ms = 1800000000000;
  head.fresh_until_ms = head.response_ms + 31536000000;
  head.body_length = body_length;
  head.last_modified_s = 1799143872;
  head.date_s = 1800000000;
  head.etag = text(kTag, sizeof(kTag) - 1);
  head.fields = text(kFields, sizeof(kFields) - 1);
  head.reason = text(kReason, sizeof(kReason) - 1);
  std::vector<uint8_t> out(encoded_head_size(head));
  encode_head(head, out);
  return out;
}

// About 100 bytes, as package and layer URLs are.
inline std::string sample_key(uint64_t number) {
  std::string key =
      "http://packages.example.com/pool/main/m/millrace/archives/by-number/millrace-runtime_1.2.3_";
  return key + std::to_string(number) + ".deb";
}

}  // namespace millrace::bench
