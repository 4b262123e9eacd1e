# An interface target that every target of ours links privately. Warnings are errors with the compiler of the release;
# clang, which builds the sanitizers and the fuzz targets, has others.
add_library(towline_warnings INTERFACE)
target_compile_options(towline_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
  -Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(towline_warnings INTERFACE -Werror)
  # GCC 12 reports false positives inside inlined std::string and std::optional at -O2.
  target_compile_options(towline_warnings INTERFACE -Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overflow
    -Wno-stringop-overread -Wno-array-bounds -Wno-dangling-pointer)
  # A unity source looks like a header to GCC, which warns of unnamed namespaces there.
  target_compile_options(towline_warnings INTERFACE -Wno-subobject-linkage)
endif()
