# SPDX-License-Identifier: Apache-2.0
# Run by cpack between installing and packing: the staged files of each component become those of a
# Debian package.

foreach(component IN LISTS CPACK_COMPONENTS_ALL)
    string(TOUPPER ${component} upper)
    set(package ${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
    set(usr "${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component}/usr")
    set(documents "${usr}/share/doc/${package}")

    if(EXISTS "${usr}/share/doc/anyhv")
        file(RENAME "${usr}/share/doc/anyhv" "${documents}")
        file(REMOVE "${documents}/LICENSE") # every Debian system has that text
        file(RENAME "${documents}/CHANGELOG.md" "${documents}/changelog")
    endif()
    file(WRITE "${documents}/copyright"
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: anyhv

Files: *
Copyright: 2026 the authors of anyhv
License: Apache-2.0
 The full text is in /usr/share/common-licenses/Apache-2.0.
")
    string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
    file(WRITE "${documents}/changelog.Debian"
"anyhv (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium

  * Packaged by cpack; libanyhv-dev has the changelog of anyhv itself.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
    file(GLOB compressed "${documents}/changelog*" "${usr}/share/man/*/*")
    execute_process(COMMAND gzip -9n ${compressed} COMMAND_ERROR_IS_FATAL ANY)
    file(GLOB_RECURSE archives "${usr}/lib/*.a")
    if(archives)
        execute_process(COMMAND "${CPACK_ANYHV_STRIP}" --strip-debug ${archives} COMMAND_ERROR_IS_FATAL ANY)
    endif()
endforeach()
