# The release build: the only thing that produces a shipped binary. The developers' build with
# sanitizers and tests is CMakeLists.txt; both read sources.txt.
{
  "targets": [{
    "target_name": "millrace",
    "sources": ["<!@(node native/sources.cjs)"],
    "include_dirs": [
      ".",
      "<!(node -p \"require('node-addon-api').include_dir\")",
      "<!(node native/lz4.cjs)"
    ],
    "defines": [
      "NAPI_VERSION=9",
      "NAPI_DISABLE_CPP_EXCEPTIONS",
      "NODE_ADDON_API_DISABLE_DEPRECATED",
      "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
    ],
    "cflags": ["-O2", "-fvisibility=hidden", "-Wall", "-Wextra"],
    "cflags_cc": ["-std=c++20", "-fno-exceptions", "-fno-rtti", "-fvisibility-inlines-hidden"],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
    "ldflags": ["-Wl,-z,nodelete", "-Wl,-z,now"],
    "conditions": [
      ["OS=='mac'", {
        "xcode_settings": {
          "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
          "GCC_ENABLE_CPP_EXCEPTIONS": "NO",
          "GCC_ENABLE_CPP_RTTI": "NO",
          "GCC_SYMBOLS_PRIVATE_EXTERN": "YES"
        }
      }]
    ]
  }]
}
