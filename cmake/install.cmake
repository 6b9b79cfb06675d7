# cmake --install: headers, library, command, man pages, shell completions, licence; and what find_package(ferry) and
# pkg-config need to use the library from the prefix, wherever that is moved to.
include(CMakePackageConfigHelpers)

install(TARGETS ferry EXPORT ferryTargets)
install(TARGETS ferry_cli)
install(DIRECTORY include/ferry DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")

# The command finds a shared library beside it. Of a static one it must have no search path at all: CMake would reserve
# room for it in the build tree by a path of empty names, which mean the current directory.
if(BUILD_SHARED_LIBS)
  file(RELATIVE_PATH FERRY_BIN_TO_LIB ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  set_target_properties(ferry_cli PROPERTIES INSTALL_RPATH "$ORIGIN/${FERRY_BIN_TO_LIB}")
endif()
if(TARGET ferry_mmap_suite)
  install(TARGETS ferry_mmap_suite LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/ferry)
  if(BUILD_SHARED_LIBS)
    set_target_properties(ferry_mmap_suite PROPERTIES INSTALL_RPATH "$ORIGIN/..")
  endif()
endif()
if(TARGET ferry_mpi)
  install(TARGETS ferry_mpi LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/ferry)
endif()
# Before 1.0 every minor version may change the ABI.
set_target_properties(ferry PROPERTIES VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})

set(FERRY_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/ferry)
get_target_property(FERRY_LIBRARY_TYPE ferry TYPE)
configure_package_config_file(cmake/ferryConfig.cmake.in ${PROJECT_BINARY_DIR}/ferryConfig.cmake
  INSTALL_DESTINATION ${FERRY_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ferryConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(EXPORT ferryTargets NAMESPACE ferry:: DESTINATION ${FERRY_CMAKE_DIR})
install(FILES ${PROJECT_BINARY_DIR}/ferryConfig.cmake ${PROJECT_BINARY_DIR}/ferryConfigVersion.cmake
  DESTINATION ${FERRY_CMAKE_DIR})

# pkg-config: a static library passes its own needs on, a shared one has them linked in.
file(RELATIVE_PATH FERRY_PC_TO_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
set(FERRY_PC_NEEDS "fmt libxxhash liburing")
if(FERRY_LIBRARY_TYPE STREQUAL STATIC_LIBRARY)
  set(FERRY_PC_REQUIRES "Requires: ${FERRY_PC_NEEDS}")
  set(FERRY_PC_LIBS "-L\${libdir} -lferry -pthread")
else()
  set(FERRY_PC_REQUIRES "Requires.private: ${FERRY_PC_NEEDS}")
  set(FERRY_PC_LIBS "-L\${libdir} -lferry\nLibs.private: -pthread")
endif()
configure_file(cmake/ferry.pc.in ${PROJECT_BINARY_DIR}/ferry.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ferry.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

file(GLOB FERRY_MAN_PAGES CONFIGURE_DEPENDS man/*.1)
install(FILES ${FERRY_MAN_PAGES} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES completions/ferry.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME ferry)
install(FILES completions/_ferry DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES completions/ferry.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
