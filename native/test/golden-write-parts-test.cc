// Writes the golden image of what format 1.0 got later: incomplete objects and Vary markers that list their
// variants, over three lives of the shipped store, the last one cut off in the middle. Not run with the
// others, because the image is to stay as it is:
//
//   build/native-plain/millrace-test --no-skip --test-case='golden: writes an image of parts*'
#include "layout/head.h"
#include "test/golden-writer.h"
#include "test/parts.h"

namespace millrace::test {

namespace {

const std::string kHost = "http://golden.example/";
const std::string kGerman = "\naccept-language:de";
const std::string kEnglish = "\naccept-language:en";
const std::string kNoLanguage = "\naccept-language";
constexpr size_t kBody = kChunkSize + 5000;
constexpr size_t kLong = 2 * kChunkSize + 5000;
constexpr ByteCount kTier = 8 * kMiB;  // what is joined has to be in memory

// The variants of one primary key, and the head of the marker that lists them, byte for byte as
// ts/store/variants.ts makes it: a test of that reads the markers out of the image.
class Variants {
 public:
  explicit Variants(std::string primary) : primary_(std::move(primary)) {}

  // As the latest one. `place`: where it is stored, if not under its own choice.
  void list(const std::string& choice, const std::string& etag, const std::string& place = "") {
    std::string line = "variant: [" + json(choice) + "," + json(etag);
    if (!place.empty()) line += "," + json(place);
    lines_.insert(lines_.begin(), line + "]\r\n");
    const size_t colon = choice.find(':');
    vary_ = choice.substr(1, colon == choice.npos ? colon : colon - 1) + '\0';
  }

  std::vector<uint8_t> marker() const {
    std::string fields;
    for (const std::string& line : lines_) fields += line;
    HeadView head;
    head.status = 200;
    head.flags = kHeadVaryMarker;
    head.body_length = 0;
    head.vary = bytes_of(vary_);
    head.fields = bytes_of(fields);
    std::vector<uint8_t> out(encoded_head_size(head));
    encode_head(head, out);
    return out;
  }

  // Lists one more variant; the options for storing it under that choice.
  PutOptions options_for(GoldenWriter* writer, TestStore& store, const std::string& choice) {
    PutOptions options;
    options.primary = primary_;
    options.head.etag = writer->next_etag();
    list(choice, options.head.etag);
    options.head.vary = vary_;
    options.marker = marker();
    const Lookup older = find(*store.store, primary_);
    if (older.record) options.floor = older.record->header.incarnation;
    return options;
  }

  void put_variant(GoldenWriter* writer, TestStore& store, const std::string& choice, Bytes body) {
    const PutOptions options = options_for(writer, store, choice);
    writer->put_object(store, primary_ + choice, body, options);
    writer->note(store, primary_);
    writer->leads(primary_ + choice, choice);
  }

 private:
  static std::string json(const std::string& text) {
    std::string out = "\"";
    for (const char character : text) {
      if (character == '\n') {
        out += "\\n";
      } else {
        if (character == '"') out.push_back('\\');
        out.push_back(character);
      }
    }
    return out + "\"";
  }

  std::string primary_;
  std::vector<std::string> lines_;
  std::string vary_;
};

// A body that the origin breaks off, of which a later request can go on.
void put_broken_off(GoldenWriter* writer, TestStore& store, const std::string& key, Bytes body,
                    size_t came) {
  const auto sink = Ref<CountingSink>::adopt(new CountingSink());
  const Ref<Fill> fill = store->begin_fill(key, notice(sink, 0));
  HeadOptions options;
  options.flags |= kHeadAcceptsRanges;
  options.body_length = body.size();
  options.etag = writer->next_etag();
  FillHead head;
  head.key = key;
  head.head = make_head(options);
  head.body_length = body.size();
  head.keep = true;
  REQUIRE(fill->begin(std::move(head)).ok());
  REQUIRE(fill->append(body.first(came)).accepted == came);
  fill->fail();
  writer->note(store, key);
}

struct Image {
  GoldenWriter writer{};
  Variants varies{kHost + "varies"};
  Variants varies_purged{kHost + "varies-purged"};
};

void live_first(Image* image, TestStore& store) {
  GoldenWriter& writer = image->writer;
  const std::vector<uint8_t> body = golden_body(1, kBody);
  PutOptions raw;
  raw.may_compress = false;
  writer.put_part_of(store, kHost + "piece", body, 100, 200);
  writer.put_part_of(store, kHost + "over-borders", golden_body(2, kLong), kChunkSize - 70000,
                     2 * kChunkSize + 9, false, raw);
  writer.put_part_of(store, kHost + "lz4-and-a-piece", body, 0, kChunkSize + 100);
  writer.put_part_of(store, kHost + "end", body, kChunkSize + 7, kBody);
  writer.put_part_of(store, kHost + "a-gap", body, 100, 200);
  writer.put_part_of(store, kHost + "a-gap", body, kChunkSize + 10, kChunkSize + 20);
  writer.put_part_of(store, kHost + "small", text_for(3, 10), 4, 10);
  writer.put_part_of(store, kHost + "joined", body, 0, 1000);
  writer.put_part_of(store, kHost + "completed", golden_body(4, kBody), kChunkSize, kBody);
  writer.put_part_of(store, kHost + "replaced", body, 0, 100);
  writer.put_part_of(store, kHost + "purged", body, 0, 100);
  writer.put_part_of(store, kHost + "under/purged", body, kChunkSize, kBody);
  for (const std::string& choice : {kNoLanguage, kGerman, kEnglish}) {
    image->varies.put_variant(&writer, store, choice, text_for(5, 60));
  }
  image->varies_purged.put_variant(&writer, store, kGerman, text_for(6, 60));
  Variants parts(kHost + "varies-parts");
  const std::string choice = "\naccept-encoding:gzip";
  const PutOptions options = parts.options_for(&writer, store, choice);
  writer.put_part_of(store, kHost + "varies-parts" + choice, body, 0, 500, false, options);
  writer.note(store, kHost + "varies-parts");
  writer.leads(kHost + "varies-parts" + choice, choice);
}

void live_second(Image* image, TestStore& store) {
  GoldenWriter& writer = image->writer;
  writer.put_part_of(store, kHost + "joined", golden_body(1, kBody), 1000, 2000);
  writer.put_part_of(store, kHost + "completed", golden_body(4, kBody), 0, kChunkSize);
  writer.put_part_of(store, kHost + "small-completed", text_for(7, 10), 4, 10);
  writer.put_part_of(store, kHost + "small-completed", text_for(7, 10), 0, 4);
  writer.put_part_of(store, kHost + "replaced", golden_body(8, kBody), 50, 150, true);
  put_broken_off(&writer, store, kHost + "broken-off", golden_body(9, kBody), kChunkSize + 5);
  REQUIRE(purge_key(*store.store, kHost + "purged").ok());
  writer.purged(kHost + "purged", false);
  // Takes the variants along, also for a marker that comes later and still names one.
  REQUIRE(purge_key(*store.store, kHost + "varies-purged").ok());
  writer.purged(kHost + "varies-purged" + kGerman, false);
  image->varies_purged.put_variant(&writer, store, kEnglish, text_for(10, 60));
}

void live_last(Image* image, TestStore& store) {
  GoldenWriter& writer = image->writer;
  writer.put_part_of(store, kHost + "piece", golden_body(1, kBody), 0, 100);
  const PurgeRequest request{PurgeKind::prefix, kHost + "under/", 0, false, false};
  REQUIRE(purge(*store.store, request).ok());
  writer.purged(kHost + "under/purged", false);
  // A request for French got the English one, and another response varies by another field.
  const std::string varies = kHost + "varies";
  image->varies.list("\naccept-language:fr", writer.next_etag(), kEnglish);
  image->varies.put_variant(&writer, store, "\ndnt:1", text_for(11, 60));
  writer.leads(varies + "\naccept-language:fr", kEnglish);
  writer.leads(varies + "\naccept-language:it", "-");
  writer.leads(varies + "\ndnt:1\naccept-language:it", "\ndnt:1");
}

}  // namespace

TEST_CASE("golden: writes an image of parts and markers" * doctest::skip()) {
  Image image;
  DiskImage disk = formatted_golden_disk();
  for (const auto live : {&live_first, &live_second}) {
    TestStore store(disk, kTier, 64 * kMiB, /*compress=*/true);
    live(&image, store);
    store->close();
    disk = store.device->snapshot();
  }
  TestStore store(disk, kTier, 64 * kMiB, /*compress=*/true);
  live_last(&image, store);
  store.flush();
  image.writer.write("-parts", store.device->snapshot());
}

}  // namespace millrace::test
