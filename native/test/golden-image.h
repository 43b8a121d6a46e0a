// Golden images: a whole device and what has to be found on it, as two text files that git keeps and a person
// can read. One line per 32 bytes that are not all zero, in hex; one line per object. The text does not
// depend on the code under test, so a later version opens what an earlier one wrote.
#pragma once

#include <string>
#include <vector>

#include "base/units.h"
#include "test/fault-device.h"

namespace millrace::test {

enum class GoldenFinding : uint8_t {
  found,
  stale,  // by a soft purge
  gone,   // by a hard purge
  parts,  // an incomplete object
  leads,  // not an object: the key that a request makes of the fields that a Vary marker names
};

struct GoldenObject {
  std::string key;  // as it is stored, a variant's with its fields
  GoldenFinding finding = GoldenFinding::found;
  // What was stored last under this key; all 0 of what is gone or leads.
  ByteCount body_length = 0;
  uint32_t body_crc = 0;
  uint32_t head_crc = 0;
  // parts: the bytes that are stored, "0-100,200-300", and body_crc is theirs. leads: what follows the
  // primary key in the key under which the marker says that the variant is stored, or "-".
  std::string detail{};
  friend bool operator==(const GoldenObject&, const GoldenObject&) = default;
};

// Bytes of which few are not zero: the image stays small, and every 4 KiB still tell where they belong.
std::vector<uint8_t> golden_body(uint64_t version, size_t size);

std::string image_text(const DiskImage& disk);
DiskImage image_of(const std::string& text);

std::string objects_text(const std::vector<GoldenObject>& objects);
std::vector<GoldenObject> objects_of(const std::string& text);

// The path of an image of this format version without its ending: "" is the first one's name.
std::string golden_path(const std::string& name);
std::string file_text(const std::string& path);
void write_file(const std::string& path, const std::string& text);

}  // namespace millrace::test
