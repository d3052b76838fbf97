package tuoguan

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// PermissionSet is the id of a permission set (权限集), a bundle of APIs that a
// merchant grants to a component; on the wire funcscope_category.id in func_info.
// WeChat adds ids without notice, so one without a constant is as good as any
// other: store it, pass it on, and let the names say "permission set 999".
//
// A set that is granted may still be unusable because the account lacks the
// ability; that shows as errcode 48001 at the call.
//
// Source: third-party platform docs, tables of permission sets, as of 2026;
// the ids that the docs no longer list come from live authorizations.
type PermissionSet int

// Sets of Official Accounts. An exclusive one is held by one component at a time.
const (
	PermissionMessages            PermissionSet = 1   // 消息管理
	PermissionUsers               PermissionSet = 2   // 用户管理
	PermissionAccountService      PermissionSet = 3   // 账号服务
	PermissionWeb                 PermissionSet = 4   // 网页服务 (exclusive)
	PermissionStore               PermissionSet = 5   // 微信小店
	PermissionCustomerService     PermissionSet = 6   // 微信多客服
	PermissionMassSend            PermissionSet = 7   // 群发与通知
	PermissionCards               PermissionSet = 8   // 微信卡券
	PermissionScan                PermissionSet = 9   // 微信扫一扫
	PermissionWiFi                PermissionSet = 10  // 微信连WIFI
	PermissionMaterials           PermissionSet = 11  // 素材管理
	PermissionShakeNearby         PermissionSet = 12  // 微信摇周边
	PermissionOutlets             PermissionSet = 13  // 微信门店
	PermissionPayment             PermissionSet = 14  // 微信支付
	PermissionMenus               PermissionSet = 15  // 菜单管理
	PermissionVerificationStatus  PermissionSet = 16  // 获取认证状态及信息
	PermissionCityServices        PermissionSet = 22  // 城市服务
	PermissionAdvertising         PermissionSet = 23  // 广告管理
	PermissionOpenAccount         PermissionSet = 24  // 开放平台账号管理 (exclusive)
	PermissionEInvoice            PermissionSet = 26  // 微信电子发票
	PermissionFastRegistration    PermissionSet = 27  // 快速注册小程序
	PermissionMiniProgramLinks    PermissionSet = 33  // 小程序关联管理
	PermissionProductLibrary      PermissionSet = 34  // 微信商品库管理 (exclusive)
	PermissionCalories            PermissionSet = 35  // 微信卡路里
	PermissionGoodThings          PermissionSet = 44  // 好物圈
	PermissionItemCodes           PermissionSet = 46  // 微信一物一码
	PermissionFiscalReceipts      PermissionSet = 47  // 微信财政电子票据
	PermissionDialogue            PermissionSet = 54  // 服务号对话管理 (exclusive)
	PermissionServiceMarket       PermissionSet = 66  // 微信服务市场管理
	PermissionSubscriptionNotices PermissionSet = 89  // 服务号订阅通知
	PermissionMedicalAssistant    PermissionSet = 113 // 就医助手
	PermissionShoppingOrders      PermissionSet = 121 // 公众号购物订单
	PermissionPushDebugging       PermissionSet = 172 // 消息推送调试（公众号）
)

// Sets of Mini Programs and shops. From 85 on WeChat's public table does not say
// which are exclusive; these count as shared.
const (
	PermissionMiniProgramCodes           PermissionSet = 17  // 获取小程序码
	PermissionMiniProgramDevelopment     PermissionSet = 18  // 小程序开发与数据分析 (exclusive)
	PermissionMiniProgramCustomerService PermissionSet = 19  // 小程序客服管理
	PermissionMiniProgramLogin           PermissionSet = 20  // 微信登录
	PermissionMiniProgramAnalytics       PermissionSet = 21  // 数据分析
	PermissionMiniProgramOpenAccount     PermissionSet = 25  // 开放平台账号管理 (exclusive)
	PermissionMiniProgramBasicInfo       PermissionSet = 30  // 小程序基本信息管理
	PermissionMiniProgramNameCheck       PermissionSet = 31  // 小程序认证名称检测
	PermissionMiniProgramCalories        PermissionSet = 36  // 微信卡路里
	PermissionMiniProgramNearby          PermissionSet = 37  // 附近的小程序管理
	PermissionMiniProgramPlugins         PermissionSet = 40  // 小程序插件管理 (exclusive)
	PermissionMiniProgramGoodThings      PermissionSet = 41  // 好物圈管理 (exclusive)
	PermissionLogistics                  PermissionSet = 45  // 微信物流服务 (exclusive)
	PermissionMiniProgramFiscalReceipts  PermissionSet = 48  // 微信财政电子票据管理
	PermissionCloudDevelopment           PermissionSet = 49  // 小程序云开发管理 (exclusive)
	PermissionInstantDelivery            PermissionSet = 51  // 小程序即时配送 (exclusive)
	PermissionLiveStreaming              PermissionSet = 52  // 小程序直播管理
	PermissionPagePush                   PermissionSet = 57  // 页面推送
	PermissionMiniProgramAdvertising     PermissionSet = 65  // 小程序广告管理
	PermissionMiniProgramServiceMarket   PermissionSet = 67  // 微信服务市场管理
	PermissionTradeGoods                 PermissionSet = 70  // 标准版交易组件商品管理
	PermissionTradeOrders                PermissionSet = 71  // 标准版交易组件订单物流与售后管理
	PermissionTradeOnboarding            PermissionSet = 73  // 标准版交易组件接入 (exclusive)
	PermissionComplaints                 PermissionSet = 76  // 小程序违规与交易投诉管理 (exclusive)
	PermissionTrialVerification          PermissionSet = 81  // 试用小程序快速认证 (exclusive)
	PermissionTradeCoupons               PermissionSet = 84  // 标准版交易组件优惠券管理
	PermissionCustomTrade                PermissionSet = 85  // 自定义版交易组件管理
	PermissionShopDecoration             PermissionSet = 86  // 小商店装修
	PermissionURLLinks                   PermissionSet = 88  // 小程序链接管理
	PermissionAffiliate                  PermissionSet = 93  // 小程序联盟
	PermissionCloudSMS                   PermissionSet = 99  // 云开发短信服务
	PermissionCloudPayment               PermissionSet = 102 // 云开发微信支付
	PermissionTradeFunds                 PermissionSet = 104 // 标准版组件资金链路
	PermissionMiniProgramCityServices    PermissionSet = 105 // 城市服务
	PermissionECommerceConnector         PermissionSet = 107 // 连接器电商场景接入
	PermissionRedPacketCovers            PermissionSet = 112 // 红包封面管理
	PermissionURLLinksBeta               PermissionSet = 115 // 小程序链接管理（内测）; in no public table, the name is ours
	PermissionCustomTradeData            PermissionSet = 116 // 获取自定义版交易组件数据
	PermissionImageProcessing            PermissionSet = 117 // 小程序图像处理
	PermissionHardware                   PermissionSet = 118 // 硬件服务
	PermissionPaymentManagement          PermissionSet = 119 // 小程序支付管理服务
	PermissionMiniProgramShoppingOrders  PermissionSet = 120 // 小程序购物订单
	PermissionChannelsShopGoods          PermissionSet = 129 // 视频号小店商品
	PermissionChannelsShopLogistics      PermissionSet = 130 // 视频号小店物流
	PermissionChannelsShopOrders         PermissionSet = 131 // 视频号小店订单与售后
	PermissionChannelsShopCoupons        PermissionSet = 132 // 视频号小店优惠券
	PermissionShopShowcase               PermissionSet = 133 // 视频号商品橱窗管理
	PermissionPublisherOperation         PermissionSet = 135 // 流量主代运营
	PermissionChannelsShopFunds          PermissionSet = 138 // 视频号小店资金管理
	PermissionFreightInsurance           PermissionSet = 139 // 小程序运费险
	PermissionPromoters                  PermissionSet = 140 // 小程序推广员
	PermissionChannelsShopAlliance       PermissionSet = 141 // 视频号小店优选联盟
	PermissionDeliveryManagement         PermissionSet = 142 // 小程序发货管理服务
	PermissionStudentStatus              PermissionSet = 144 // 微信学生身份验证
	PermissionTradeGuarantee             PermissionSet = 151 // 小程序交易保障
	PermissionShortDrama                 PermissionSet = 153 // 微短剧小程序资源管理
	PermissionICPFiling                  PermissionSet = 156 // 小程序备案服务
	PermissionVirtualPayment             PermissionSet = 157 // 小程序虚拟支付管理
	PermissionEWaybills                  PermissionSet = 159 // 视频号电子面单管理
	PermissionWeChatCustomerService      PermissionSet = 161 // 微信客服管理
	PermissionMiniProgramPushDebugging   PermissionSet = 171 // 消息推送调试（小程序）
	PermissionMiniGamePushDebugging      PermissionSet = 173 // 消息推送调试（小游戏）
	PermissionShopData                   PermissionSet = 175 // 小店数据
	PermissionOrderManagement            PermissionSet = 182 // 小程序订单管理服务
	PermissionShopMembers                PermissionSet = 185 // 微信小店会员
	PermissionShopMembers2               PermissionSet = 186 // 微信小店会员
)

// Sets of Channels and talent assistant accounts.
const (
	PermissionChannelsLeads         PermissionSet = 143 // 视频号留资组件管理
	PermissionChannelsLiveLeads     PermissionSet = 160 // 视频号留资服务的直播数据
	PermissionChannelsPushDebugging PermissionSet = 174 // 消息推送调试（视频号）
	PermissionTalentData            PermissionSet = 176 // 达人数据
	PermissionChannelsShowcase      PermissionSet = 177 // 视频号商品橱窗管理
	PermissionTalentShowcase        PermissionSet = 189 // 带货助手橱窗商品管理
	PermissionTalentOrders          PermissionSet = 190 // 带货助手订单管理
)

// permissionSets is sorted by id. It is never written.
var permissionSets = [...]permissionSet{
	{PermissionMessages, KindOfficialAccount, "消息管理", "messages", false},
	{PermissionUsers, KindOfficialAccount, "用户管理", "users", false},
	{PermissionAccountService, KindOfficialAccount, "账号服务", "account service", false},
	{PermissionWeb, KindOfficialAccount, "网页服务", "web pages and OAuth", true},
	{PermissionStore, KindOfficialAccount, "微信小店", "WeChat store (old)", false},
	{PermissionCustomerService, KindOfficialAccount, "微信多客服", "customer service", false},
	{PermissionMassSend, KindOfficialAccount, "群发与通知", "mass sending and notices", false},
	{PermissionCards, KindOfficialAccount, "微信卡券", "cards and coupons", false},
	{PermissionScan, KindOfficialAccount, "微信扫一扫", "scan", false},
	{PermissionWiFi, KindOfficialAccount, "微信连WIFI", "Wi-Fi", false},
	{PermissionMaterials, KindOfficialAccount, "素材管理", "media materials", false},
	{PermissionShakeNearby, KindOfficialAccount, "微信摇周边", "shake nearby", false},
	{PermissionOutlets, KindOfficialAccount, "微信门店", "outlets", false},
	{PermissionPayment, KindOfficialAccount, "微信支付", "payment", false},
	{PermissionMenus, KindOfficialAccount, "菜单管理", "menus", false},
	{PermissionVerificationStatus, KindOfficialAccount, "获取认证状态及信息", "verification status", false},
	{PermissionMiniProgramCodes, KindMiniProgram, "获取小程序码", "Mini Program codes", false},
	{PermissionMiniProgramDevelopment, KindMiniProgram, "小程序开发与数据分析", "Mini Program development and analytics", true},
	{PermissionMiniProgramCustomerService, KindMiniProgram, "小程序客服管理", "Mini Program customer service", false},
	{PermissionMiniProgramLogin, KindMiniProgram, "微信登录", "WeChat login", false},
	{PermissionMiniProgramAnalytics, KindMiniProgram, "数据分析", "analytics", false},
	{PermissionCityServices, KindOfficialAccount, "城市服务", "city services", false},
	{PermissionAdvertising, KindOfficialAccount, "广告管理", "advertising", false},
	{PermissionOpenAccount, KindOfficialAccount, "开放平台账号管理", "open-platform account", true},
	{PermissionMiniProgramOpenAccount, KindMiniProgram, "开放平台账号管理", "open-platform account of a Mini Program", true},
	{PermissionEInvoice, KindOfficialAccount, "微信电子发票", "electronic invoices", false},
	{PermissionFastRegistration, KindOfficialAccount, "快速注册小程序", "fast registration of Mini Programs", false},
	{PermissionMiniProgramBasicInfo, KindMiniProgram, "小程序基本信息管理", "Mini Program basic information", false},
	{PermissionMiniProgramNameCheck, KindMiniProgram, "小程序认证名称检测", "verification name check", false},
	{PermissionMiniProgramLinks, KindOfficialAccount, "小程序关联管理", "linked Mini Programs", false},
	{PermissionProductLibrary, KindOfficialAccount, "微信商品库管理", "product library", true},
	{PermissionCalories, KindOfficialAccount, "微信卡路里", "calories", false},
	{PermissionMiniProgramCalories, KindMiniProgram, "微信卡路里", "calories in Mini Programs", false},
	{PermissionMiniProgramNearby, KindMiniProgram, "附近的小程序管理", "nearby Mini Programs", false},
	{PermissionMiniProgramPlugins, KindMiniProgram, "小程序插件管理", "Mini Program plugins", true},
	{PermissionMiniProgramGoodThings, KindMiniProgram, "好物圈管理", "good-things circle management", true},
	{PermissionGoodThings, KindOfficialAccount, "好物圈", "good-things circle", false},
	{PermissionLogistics, KindMiniProgram, "微信物流服务", "logistics", true},
	{PermissionItemCodes, KindOfficialAccount, "微信一物一码", "one code per item", false},
	{PermissionFiscalReceipts, KindOfficialAccount, "微信财政电子票据", "fiscal e-receipts", false},
	{PermissionMiniProgramFiscalReceipts, KindMiniProgram, "微信财政电子票据管理", "fiscal e-receipt management", false},
	{PermissionCloudDevelopment, KindMiniProgram, "小程序云开发管理", "cloud development", true},
	{PermissionInstantDelivery, KindMiniProgram, "小程序即时配送", "instant delivery", true},
	{PermissionLiveStreaming, KindMiniProgram, "小程序直播管理", "live streaming", false},
	{PermissionDialogue, KindOfficialAccount, "服务号对话管理", "service account dialogue", true},
	{PermissionPagePush, KindMiniProgram, "页面推送", "page push", false},
	{PermissionMiniProgramAdvertising, KindMiniProgram, "小程序广告管理", "Mini Program advertising", false},
	{PermissionServiceMarket, KindOfficialAccount, "微信服务市场管理", "service market", false},
	{PermissionMiniProgramServiceMarket, KindMiniProgram, "微信服务市场管理", "service market for Mini Programs", false},
	{PermissionTradeGoods, KindMiniProgram, "标准版交易组件商品管理", "trade component: goods", false},
	{PermissionTradeOrders, KindMiniProgram, "标准版交易组件订单物流与售后管理", "trade component: orders, logistics and after-sales", false},
	{PermissionTradeOnboarding, KindMiniProgram, "标准版交易组件接入", "trade component: onboarding", true},
	{PermissionComplaints, KindMiniProgram, "小程序违规与交易投诉管理", "violations and trade complaints", true},
	{PermissionTrialVerification, KindMiniProgram, "试用小程序快速认证", "fast verification of trial Mini Programs", true},
	{PermissionTradeCoupons, KindMiniProgram, "标准版交易组件优惠券管理", "trade component: coupons", false},
	{PermissionCustomTrade, KindMiniProgram, "自定义版交易组件管理", "custom trade component", false},
	{PermissionShopDecoration, KindMiniProgram, "小商店装修", "shop decoration", false},
	{PermissionURLLinks, KindMiniProgram, "小程序链接管理", "URL links and schemes", false},
	{PermissionSubscriptionNotices, KindOfficialAccount, "服务号订阅通知", "subscription notices", false},
	{PermissionAffiliate, KindMiniProgram, "小程序联盟", "Mini Program affiliates", false},
	{PermissionCloudSMS, KindMiniProgram, "云开发短信服务", "cloud SMS", false},
	{PermissionCloudPayment, KindMiniProgram, "云开发微信支付", "cloud payment", false},
	{PermissionTradeFunds, KindMiniProgram, "标准版组件资金链路", "trade component: funds", false},
	{PermissionMiniProgramCityServices, KindMiniProgram, "城市服务", "city services in Mini Programs", false},
	{PermissionECommerceConnector, KindMiniProgram, "连接器电商场景接入", "e-commerce connector", false},
	{PermissionRedPacketCovers, KindMiniProgram, "红包封面管理", "red-packet covers", false},
	{PermissionMedicalAssistant, KindOfficialAccount, "就医助手", "medical assistant", false},
	{PermissionURLLinksBeta, KindMiniProgram, "小程序链接管理（内测）", "URL links (beta)", false},
	{PermissionCustomTradeData, KindMiniProgram, "获取自定义版交易组件数据", "custom trade component data", false},
	{PermissionImageProcessing, KindMiniProgram, "小程序图像处理", "image processing", false},
	{PermissionHardware, KindMiniProgram, "硬件服务", "hardware", false},
	{PermissionPaymentManagement, KindMiniProgram, "小程序支付管理服务", "payment management", false},
	{PermissionMiniProgramShoppingOrders, KindMiniProgram, "小程序购物订单", "Mini Program shopping orders", false},
	{PermissionShoppingOrders, KindOfficialAccount, "公众号购物订单", "shopping orders", false},
	{PermissionChannelsShopGoods, KindMiniProgram, "视频号小店商品", "Channels shop: goods", false},
	{PermissionChannelsShopLogistics, KindMiniProgram, "视频号小店物流", "Channels shop: logistics", false},
	{PermissionChannelsShopOrders, KindMiniProgram, "视频号小店订单与售后", "Channels shop: orders and after-sales", false},
	{PermissionChannelsShopCoupons, KindMiniProgram, "视频号小店优惠券", "Channels shop: coupons", false},
	{PermissionShopShowcase, KindMiniProgram, "视频号商品橱窗管理", "Channels shop: showcase", false},
	{PermissionPublisherOperation, KindMiniProgram, "流量主代运营", "publisher operation", false},
	{PermissionChannelsShopFunds, KindMiniProgram, "视频号小店资金管理", "Channels shop: funds", false},
	{PermissionFreightInsurance, KindMiniProgram, "小程序运费险", "freight insurance", false},
	{PermissionPromoters, KindMiniProgram, "小程序推广员", "Mini Program promoters", false},
	{PermissionChannelsShopAlliance, KindMiniProgram, "视频号小店优选联盟", "Channels shop: alliance", false},
	{PermissionDeliveryManagement, KindMiniProgram, "小程序发货管理服务", "delivery management", false},
	{PermissionChannelsLeads, KindUnknown, "视频号留资组件管理", "Channels lead forms", false},
	{PermissionStudentStatus, KindMiniProgram, "微信学生身份验证", "student status", false},
	{PermissionTradeGuarantee, KindMiniProgram, "小程序交易保障", "trade guarantee", false},
	{PermissionShortDrama, KindMiniProgram, "微短剧小程序资源管理", "short-drama resources", false},
	{PermissionICPFiling, KindMiniProgram, "小程序备案服务", "ICP filing", false},
	{PermissionVirtualPayment, KindMiniProgram, "小程序虚拟支付管理", "virtual payment", false},
	{PermissionEWaybills, KindMiniProgram, "视频号电子面单管理", "electronic waybills", false},
	{PermissionChannelsLiveLeads, KindUnknown, "视频号留资服务的直播数据", "live data of Channels leads", false},
	{PermissionWeChatCustomerService, KindMiniProgram, "微信客服管理", "WeChat customer service", false},
	{PermissionMiniProgramPushDebugging, KindMiniProgram, "消息推送调试（小程序）", "push debugging in Mini Programs", false},
	{PermissionPushDebugging, KindOfficialAccount, "消息推送调试（公众号）", "push debugging", false},
	{PermissionMiniGamePushDebugging, KindMiniProgram, "消息推送调试（小游戏）", "push debugging in mini games", false},
	{PermissionChannelsPushDebugging, KindUnknown, "消息推送调试（视频号）", "push debugging in Channels", false},
	{PermissionShopData, KindMiniProgram, "小店数据", "shop data", false},
	{PermissionTalentData, KindUnknown, "达人数据", "talent data", false},
	{PermissionChannelsShowcase, KindUnknown, "视频号商品橱窗管理", "Channels showcase", false},
	{PermissionOrderManagement, KindMiniProgram, "小程序订单管理服务", "order management", false},
	{PermissionShopMembers, KindMiniProgram, "微信小店会员", "shop members", false},
	{PermissionShopMembers2, KindMiniProgram, "微信小店会员", "shop members (second set)", false},
	{PermissionTalentShowcase, KindUnknown, "带货助手橱窗商品管理", "talent assistant: showcase goods", false},
	{PermissionTalentOrders, KindUnknown, "带货助手订单管理", "talent assistant: orders", false},
}

type permissionSet struct {
	id        PermissionSet
	kind      Kind
	chinese   string
	english   string
	exclusive bool
}

// PermissionSets returns the sets that are known by name, in the order of their
// ids. The slice is the caller's.
func PermissionSets() []PermissionSet {
	ids := make([]PermissionSet, len(permissionSets))
	for i, set := range permissionSets {
		ids[i] = set.id
	}
	return ids
}

func (p PermissionSet) lookup() (permissionSet, bool) {
	i, found := slices.BinarySearchFunc(permissionSets[:], p, func(set permissionSet, id PermissionSet) int {
		return cmp.Compare(set.id, id)
	})
	if !found {
		return permissionSet{}, false
	}
	return permissionSets[i], true
}

// Known reports whether the set has a name here.
func (p PermissionSet) Known() bool {
	_, found := p.lookup()
	return found
}

// Kind returns which kind of account can grant the set. It is [KindUnknown] for the
// sets of Channels and talent assistant accounts, and where it is not documented.
func (p PermissionSet) Kind() Kind {
	set, _ := p.lookup()
	return set.kind
}

// Exclusive reports whether only one component at a time can hold the set. When
// an account that gave it to another component authorizes ours, the other keeps
// it and ours is authorized without it: compare what was asked for with what was
// granted. A set of which this is not documented counts as shared.
func (p PermissionSet) Exclusive() bool {
	set, _ := p.lookup()
	return set.exclusive
}

// ChineseName returns WeChat's own name, as the merchant sees it.
func (p PermissionSet) ChineseName() string {
	if set, found := p.lookup(); found {
		return set.chinese
	}
	return "权限集 " + strconv.Itoa(int(p))
}

// EnglishName returns our English name.
func (p PermissionSet) EnglishName() string {
	if set, found := p.lookup(); found {
		return set.english
	}
	return "permission set " + strconv.Itoa(int(p))
}

// Name returns the Chinese name if lang is a tag of Chinese such as "zh" or
// "zh-CN", else the English one.
func (p PermissionSet) Name(lang string) string {
	primary, _, _ := strings.Cut(lang, "-")
	if strings.EqualFold(primary, "zh") {
		return p.ChineseName()
	}
	return p.EnglishName()
}

// String returns the id and, where it is known, the English name: "1 messages".
func (p PermissionSet) String() string {
	id := strconv.Itoa(int(p))
	if set, found := p.lookup(); found {
		return id + " " + set.english
	}
	return id
}
