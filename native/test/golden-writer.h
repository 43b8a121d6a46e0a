// Writing golden images: an empty device, objects that are noted as they are stored, and the two files. For
// the test cases that make an image; they are not run with the others.
#pragma once

#include <map>
#include <string>

#include "test/golden-image.h"
#include "test/support.h"

namespace millrace::test {

// As `millrace format` leaves it.
DiskImage formatted_golden_disk();

class GoldenWriter {
 public:
  // Of another version than every one before. What is put without one gets it.
  std::string next_etag();
  void put_object(TestStore& store, const std::string& key, Bytes body, PutOptions options = {});
  // One part of an object, added to what is stored of it or the first of a new version.
  void put_part_of(TestStore& store, const std::string& key, Bytes body, ByteOffset begin,
                   ByteOffset end, bool is_new = false, PutOptions options = {});

  // Remembers what is stored under the key as it is now: an object, parts of one, or a marker.
  void note(TestStore& store, const std::string& key);
  void purged(const std::string& key, bool soft);
  // A request whose fields make this key is led to the variant of this place, or "-".
  void leads(const std::string& key, const std::string& place);

  // Writes image and list. Refuses to change an image that is there.
  void write(const std::string& name, const DiskImage& disk) const;

 private:
  static std::string fields_for(const std::string& key);

  uint64_t version_ = 0;
  std::map<std::string, std::string> etags_;  // of objects in parts
  std::map<std::pair<bool, std::string>, GoldenObject> objects_;  // true: of leads
};

}  // namespace millrace::test
