# The few shapes of target that this project has.
add_library (vj-flags INTERFACE)
target_compile_options (vj-flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
  -Wold-style-definition -Wpointer-arith -Wcast-align -Wwrite-strings -Wundef -Wformat=2 -Wvla -Wnull-dereference
  -Wdouble-promotion -Wfloat-equal -Wimplicit-fallthrough -Wredundant-decls -Wno-unused-parameter
  -fstack-protector-strong -fno-common $<$<BOOL:${VJ_WERROR}>:-Werror>)
target_compile_definitions (vj-flags INTERFACE
  _GNU_SOURCE G_LOG_USE_STRUCTURED "VJ_VERSION=\"${PROJECT_VERSION}\""
  $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
target_link_options (vj-flags INTERFACE -Wl,-z,relro,-z,now -Wl,--as-needed)
target_include_directories (vj-flags INTERFACE "${CMAKE_SOURCE_DIR}/src")

# vj_library (NAME SOURCES a.c b.c LINK PkgConfig::X other-library)
function (vj_library name)
  cmake_parse_arguments (ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library (${name} STATIC ${ARG_SOURCES})
  set_target_properties (${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries (${name} PRIVATE vj-flags PUBLIC ${ARG_LINK})
endfunction ()

# vj_program (NAME COMPONENT host|guest DESTINATION dir SOURCES main.c LINK library)
function (vj_program name)
  cmake_parse_arguments (ARG "" "COMPONENT;DESTINATION" "SOURCES;LINK" ${ARGN})
  add_executable (${name} ${ARG_SOURCES})
  set_target_properties (${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries (${name} PRIVATE vj-flags ${ARG_LINK})
  target_link_options (${name} PRIVATE -pie)
  install (TARGETS ${name} RUNTIME DESTINATION ${ARG_DESTINATION} COMPONENT ${ARG_COMPONENT})
endfunction ()

# vj_unit_test (NAME SOURCES test_x.c LINK library): one cmocka program, one CTest test; exit code 77 is a skip.
function (vj_unit_test name)
  cmake_parse_arguments (ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable (${name} ${ARG_SOURCES})
  set_target_properties (${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  target_link_libraries (${name} PRIVATE vj-flags PkgConfig::CMOCKA ${ARG_LINK})
  target_include_directories (${name} PRIVATE "${CMAKE_SOURCE_DIR}/tests/support")
  target_compile_definitions (${name} PRIVATE "VJ_SOURCE_DIR=\"${CMAKE_SOURCE_DIR}\"")
  add_test (NAME ${name} COMMAND ${name})
  set_tests_properties (${name} PROPERTIES LABELS unit SKIP_RETURN_CODE 77 TIMEOUT 300)
endfunction ()
