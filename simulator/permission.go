package simulator

import "slices"

// setName is a permission set as the authorization page shows it.
type setName struct {
	id      int
	chinese string
	english string
}

// The sets that merchants see. Source: third-party platform docs, tables of
// permission sets, read 2026; names of later ones from the pages of their APIs.
var officialAccountSets = []setName{
	{1, "消息管理", "Messages"},
	{2, "用户管理", "Users"},
	{3, "账号服务", "Account services"},
	{4, "网页服务", "Web pages and OAuth"},
	{5, "微信小店", "WeChat store"},
	{6, "微信多客服", "Customer-service agents"},
	{7, "群发与通知", "Mass sends and notices"},
	{8, "微信卡券", "Cards and coupons"},
	{9, "微信扫一扫", "Scan"},
	{10, "微信连WIFI", "Wi-Fi"},
	{11, "素材管理", "Media assets"},
	{12, "微信摇周边", "Shake nearby"},
	{13, "微信门店", "Stores"},
	{15, "菜单管理", "Menus"},
	{22, "城市服务", "City services"},
	{23, "广告管理", "Advertising"},
	{24, "开放平台账号管理", "Open-platform account"},
	{26, "微信电子发票", "E-invoices"},
	{27, "快速注册小程序", "Fast registration of mini programs"},
	{33, "小程序关联管理", "Linked mini programs"},
	{34, "微信商品库管理", "Product library"},
	{44, "好物圈", "Good-things circle"},
	{46, "微信一物一码", "One code per item"},
	{47, "微信财政电子票据", "Fiscal e-receipts"},
	{54, "服务号对话管理", "Service-account dialogue"},
	{66, "微信服务市场管理", "Service market"},
	{89, "服务号订阅通知", "Subscription notices"},
	{113, "就医助手", "Medical assistant"},
}

var miniProgramSets = []setName{
	{17, "获取小程序码", "Mini-program codes"},
	{18, "小程序开发与数据分析", "Development and analytics"},
	{19, "小程序客服管理", "Customer service"},
	{25, "开放平台账号管理", "Open-platform account"},
	{30, "小程序基本信息管理", "Basic information"},
	{31, "小程序认证名称检测", "Verification name check"},
	{36, "微信卡路里", "Calories"},
	{37, "附近的小程序管理", "Nearby"},
	{40, "小程序插件管理", "Plugins"},
	{41, "好物圈管理", "Good-things circle"},
	{45, "微信物流服务", "Logistics"},
	{48, "微信财政电子票据管理", "Fiscal e-receipts"},
	{49, "小程序云开发管理", "Cloud development"},
	{51, "小程序即时配送", "Instant delivery"},
	{52, "小程序直播管理", "Live streaming"},
	{65, "小程序广告管理", "Advertising"},
	{67, "微信服务市场管理", "Service market"},
	{70, "标准版交易组件商品管理", "Trade component: goods"},
	{71, "标准版交易组件订单物流与售后管理", "Trade component: orders"},
	{73, "标准版交易组件接入", "Trade component: onboarding"},
	{76, "小程序违规与交易投诉管理", "Violations and complaints"},
	{81, "试用小程序快速认证", "Verification of trial programs"},
	{84, "标准版交易组件优惠券管理", "Trade component: coupons"},
	{88, "小程序链接管理", "Links and schemes"},
	{120, "小程序购物订单", "Shopping orders"},
	{142, "小程序发货管理服务", "Delivery management"},
	{151, "小程序交易保障", "Trade guarantee"},
	{156, "小程序备案服务", "ICP filing"},
}

// exclusiveSets can be held by one component at a time. Source: as above.
var exclusiveSets = []int{4, 18, 24, 25, 34, 40, 41, 45, 49, 51, 54, 73, 76, 81}

// setsOf returns the sets that accounts of a kind can grant.
func setsOf(kind string) []setName {
	if kind == MiniProgram {
		return miniProgramSets
	}
	return officialAccountSets
}

func knownSets() []int {
	var ids []int
	for _, set := range slices.Concat(officialAccountSets, miniProgramSets) {
		ids = append(ids, set.id)
	}
	slices.Sort(ids)
	return ids
}

// grantable reports whether a kind of account can grant a set. A set that is in
// neither table is taken for either kind, since tables lag behind the platform.
func grantable(kind string, set int) bool {
	is := func(s setName) bool { return s.id == set }
	if slices.ContainsFunc(setsOf(kind), is) {
		return true
	}
	return !slices.ContainsFunc(officialAccountSets, is) && !slices.ContainsFunc(miniProgramSets, is)
}
