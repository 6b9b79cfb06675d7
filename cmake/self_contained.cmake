# What the command is linked with: where ferry is a static library, all but libc comes from archives. Loading libstdc++,
# libfmt and the rest takes longer than copying a small file does (docs/PERFORMANCE.md, start-up).
set(FERRY_XXHASH PkgConfig::XXHASH)
set(FERRY_URING PkgConfig::URING)

# {fmt} 9 comes without an archive, so fmt_archive.cpp makes one; sanitizers bring their own libstdc++.
set(FERRY_SELF_CONTAINED OFF)
if(NOT BUILD_SHARED_LIBS AND NOT FERRY_SANITIZE AND fmt_VERSION VERSION_LESS 10)
  find_library(XXHASH_ARCHIVE libxxhash.a)
  find_library(URING_ARCHIVE liburing.a)
  if(XXHASH_ARCHIVE AND URING_ARCHIVE)
    set(FERRY_SELF_CONTAINED ON)
    set(FERRY_XXHASH $<BUILD_INTERFACE:${XXHASH_ARCHIVE}> $<INSTALL_INTERFACE:PkgConfig::XXHASH>)
    set(FERRY_URING $<BUILD_INTERFACE:${URING_ARCHIVE}> $<INSTALL_INTERFACE:PkgConfig::URING>)
  endif()
endif()
