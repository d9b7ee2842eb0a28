/** Which flags of /proc/cpuinfo tell of instructions that programs may use. Pure. */

/**
 * What the kernel, a hypervisor or power management knows of a CPU, and no compiler asks for: words 3, 7, 8, 11, 14
 * and 15 of Linux' arch/x86/include/asm/cpufeatures.h, and what is privileged in the others; on ARM, what the kernel
 * offers. A name that is not listed counts as an instruction.
 */
const ofTheSystem = new Set(
  (
    'vme de pse msr pae mce apic sep mtrr pge mca pat pse36 pn dts acpi ss ht tm ia64 pbe mp nx pdpe1gb ' +
    'constant_tsc nonstop_tsc nonstop_tsc_s3 tsc_known_freq tsc_reliable tsc_deadline_timer tsc_adjust tsc_scale ' +
    'up art arch_perfmon pebs bts rep_good acc_power nopl xtopology cpuid extd_apicid amd_dcm aperfmperf ' +
    'dtes64 monitor ds_cpl vmx smx est tm2 cid cnxt_id xtpr pdcm pcid dca x2apic osxsave hypervisor ' +
    'cmp_legacy svm extapic cr8_legacy osvw ibs skinit wdt nodeid_msr topoext perfctr_core perfctr_nb bpext ptsc ' +
    'perfctr_llc ring3mwait cpuid_fault cpb epb cat_l3 cat_l2 cdp_l3 cdp_l2 invpcid_single hw_pstate proc_feedback ' +
    'pti intel_ppin mba rsb_ctxsw ssbd stibp ibrs ibrs_enhanced ibpb retpoline tpr_shadow flexpriority ept vpid ' +
    'vnmi npt lbrv svm_lock nrip_save vmcb_clean flushbyasid decodeassists pausefilter pfthreshold avic ' +
    'v_vmsave_vmload vgif v_spec_ctrl x2avic v_vgif vmmcall vmcall ept_ad smep smap invpcid cqm cqm_llc cqm_occup_llc ' +
    'cqm_mbm_total cqm_mbm_local split_lock_detect bus_lock_detect rdt_a intel_pt umip ospke la57 ' +
    'dtherm ida arat pln pts hwp hwp_notify hwp_act_window hwp_epp hwp_pkg_req hfi flush_l1d arch_capabilities ' +
    'arch_lbr md_clear tsx_force_abort spec_ctrl intel_stibp core_capabilities spec_ctrl_ssbd pconfig sme sev sev_es ' +
    'sev_snp vm_page_flush amd_ppin amd_ssbd amd_ibpb amd_ibrs amd_stibp amd_stibp_always_on virt_ssbd cppc irperf ' +
    'overflow_recov succor smca debug_swap perfmon_v2 amd_lbr_v2 amd_lbr_pmc_freeze ibrs_exit_to_user ' +
    'user_shstk lam evtstrm'
  ).split(' '),
);

export function isInstruction(flag: string): boolean {
  return !ofTheSystem.has(flag);
}
